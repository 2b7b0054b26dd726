#!/usr/bin/env bash
# By hand, not in CI: llama.cpp's own server, from its sources, against transformers.
#   scripts/check_llama_cpp.sh [FOLDER]
# Needs cmake, ninja and a C++ compiler; the build takes some ten minutes on two cores and is kept
# in FOLDER. With LLAMA_SERVER=/path/to/llama-server nothing is built. Python needs the extras hf
# and http and the package gguf.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
folder=${1:-${TMPDIR:-/tmp}/check-llama-cpp}
python=${PYTHON:-python}
port=${PORT:-8766}
mkdir -p "$folder"
server=${LLAMA_SERVER:-$folder/build/bin/llama-server}

if [[ ! -x $server ]]; then
    # The sources of the Python bindings hold those of the server.
    "$python" -m pip download --quiet --no-deps --no-binary :all: --no-build-isolation \
        --dest "$folder" llama-cpp-python
    mkdir -p "$folder/source"
    tar xzf "$folder"/llama_cpp_python-*.tar.gz -C "$folder/source" --strip-components 1
    cmake -G Ninja -S "$folder/source/vendor/llama.cpp" -B "$folder/build" \
        -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DLLAMA_BUILD_TESTS=OFF \
        -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_BUILD_APP=OFF -DLLAMA_USE_PREBUILT_UI=OFF \
        -DLLAMA_OPENSSL=OFF
    cmake --build "$folder/build" --target llama-server
fi

"$python" "$root/scripts/check_server.py" model "$folder/model" --gguf "$folder/small.gguf"
# Keys and values in single precision: in half, as by default, log-probabilities move by 1e-3.
"$server" -m "$folder/small.gguf" --alias small --port "$port" -c 2048 -np 4 --no-warmup \
    -fa off -ctk f32 -ctv f32 >"$folder/server.log" 2>&1 &
trap 'kill $!' EXIT
for _ in {1..50}; do
    if grep -q "listening on" "$folder/server.log"; then break; fi
    sleep 0.2
done
"$python" "$root/scripts/check_server.py" compare "http://127.0.0.1:$port/v1" "$folder/model"
