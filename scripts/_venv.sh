# Sourced by scripts/demo, scripts/test and scripts/lock: a virtual environment that this checkout
# is installed in. $VENV names another place than .venv, $PYTHON another Python than python3.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${VENV:-$root/.venv}
PYTHON=${PYTHON:-python3}

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# make_venv: an empty environment with pip at $VENV, unless there is one.
make_venv() {
    command -v "$PYTHON" >/dev/null \
        || die "$PYTHON was not found; install Python 3.11 or newer, or set PYTHON to its path"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || die "Python 3.11 or newer is needed, $PYTHON is $("$PYTHON" -V 2>&1); set PYTHON to a newer one"
    "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && return
    "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null \
        || die "$PYTHON has no venv module; on Debian or Ubuntu: apt install python3-venv"
    "$PYTHON" -m venv "$VENV"
}

# install EXTRAS [VERSIONS]: make $VENV if need be and install .[EXTRAS] into it, in editable form.
# VERSIONS is a file of scripts/constraints/ (locked, lowest), or newest for whatever pip takes. Such
# a file limits versions and asks for nothing: a CPU build of torch still brings no CUDA libraries.
# The stamp says for which checkout, dependencies and versions that was done, so that a second
# call costs nothing; for newest, pip looks each time.
install() {
    local extras=$1 versions=${2:-locked} stamp="$VENV/.installed-${1:-base}" wanted=newest
    local options=(--upgrade --upgrade-strategy eager)
    if [[ $versions != newest ]]; then
        options=(--constraint "$root/scripts/constraints/$versions.txt")
        wanted=$(printf '%s\n' "$root" "$versions" \
            && cat "$root/pyproject.toml" "$root/scripts/constraints/$versions.txt")
        if [[ -f $stamp && $(<"$stamp") == "$wanted" ]] \
            && "$VENV/bin/python" -c '' 2>/dev/null; then
            return
        fi
    fi
    make_venv
    printf 'installing esrp-judge%s into %s (once; it may take minutes)\n' \
        "${extras:+[$extras]}" "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "${options[@]}" \
        --editable "$root${extras:+[$extras]}" \
        || die "the installation failed; the lines above say why"
    printf '%s\n' "$wanted" >"$stamp"
}
