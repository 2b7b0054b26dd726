# Sourced by scripts/demo and scripts/test: a virtual environment that this checkout is
# installed in. $VENV names another place than .venv, $PYTHON another Python than python3.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=${VENV:-$root/.venv}
PYTHON=${PYTHON:-python3}

die() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# install EXTRAS: make $VENV if need be and install .[EXTRAS] into it, in editable form.
# The stamp says for which pyproject.toml of which checkout that was done, so that a second
# call costs nothing.
install() {
    local extras=$1 stamp="$VENV/.installed-${1:-base}" wanted
    command -v "$PYTHON" >/dev/null \
        || die "$PYTHON was not found; install Python 3.11 or newer, or set PYTHON to its path"
    "$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
        || die "Python 3.11 or newer is needed, $PYTHON is $("$PYTHON" -V 2>&1); set PYTHON to a newer one"
    wanted=$(printf '%s\n' "$root" && cat "$root/pyproject.toml")
    if [[ -f $stamp && $(<"$stamp") == "$wanted" ]] && "$VENV/bin/python" -c '' 2>/dev/null; then
        return
    fi
    if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1; then
        "$PYTHON" -c 'import ensurepip, venv' 2>/dev/null \
            || die "$PYTHON has no venv module; on Debian or Ubuntu: apt install python3-venv"
        "$PYTHON" -m venv "$VENV"
    fi
    printf 'installing esrp-judge%s into %s (once; it may take minutes)\n' \
        "${extras:+[$extras]}" "$VENV"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check \
        --editable "$root${extras:+[$extras]}" \
        || die "the installation failed; the lines above say why"
    printf '%s\n' "$wanted" >"$stamp"
}
