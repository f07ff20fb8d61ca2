#!/bin/sh
# Make .venv with meshbox, its libraries and the tools of `make lint` and `make test`. Run it again at any time:
# it does nothing when nothing changed.
#
# systemd-python comes as source only and wants a compiler and libsystemd's headers. Where they cannot be had it
# is left out: everything runs without it, and logs go to stderr.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh

venv=$root/.venv
stamp=$venv/.complete
recipe=$(cat setup.cfg pyproject.toml scripts/setup-venv.sh | cksum)

find_python() {
    for candidate in "${PYTHON:-}" python3 python3.14 python3.13 python3.12 python3.11; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null 2>&1 &&
            "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
}

# Debian's python3 has no ensurepip until python3-venv is there.
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

has_headers() { [ -e "$("$1" -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" ]; }

if [ -e "$stamp" ] && [ "$(cat "$stamp")" = "$recipe" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

python=$(find_python)
if [ -n "${PYTHON:-}" ] && [ "$python" != "$(command -v "$PYTHON" || true)" ]; then
    say "PYTHON=$PYTHON is no Python 3.11 or newer"
    exit 1
fi
if [ -z "$python" ]; then
    wanted="python3 python3-venv"
    install_wanted || true
    python=$(find_python)
    [ -n "$python" ] || { say "meshbox needs Python 3.11 or newer; name one with PYTHON=..."; exit 1; }
fi
if ! can_make_venv "$python"; then
    wanted="python3-venv"
    install_wanted || true
    can_make_venv "$python" || { say "$python cannot make virtual environments (no ensurepip)"; exit 1; }
fi

if [ ! -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import pip' 2>/dev/null; then
    say "making .venv with $python ($("$python" -V))"
    "$python" -m venv --clear "$venv"
fi
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

say "installing meshbox with its libraries and the test tools into .venv (from PyPI)"
pip install --editable '.[test]'

install_systemd_python() {
    "$venv/bin/python" -c 'import systemd.journal' 2>/dev/null && return 0
    want gcc gcc
    want pkg-config pkg-config
    pkg-config --exists libsystemd 2>/dev/null || wanted="$wanted libsystemd-dev"
    has_headers "$venv/bin/python" || wanted="$wanted python3-dev"
    want_file /usr/include/stdio.h libc6-dev
    install_wanted || return 1
    say "building systemd-python"
    # Editable here too: a plain install would put a copy in front of the checkout, and tests would test that.
    pip install --editable '.[systemd]'
}
if ! install_systemd_python; then
    say "=================================================================================="
    say "systemd-python could not be built: log events will go to stderr, without fields for"
    say "the journal. Everything else is complete."
    say "=================================================================================="
fi

printf '%s\n' "$recipe" >"$stamp"
say "ready: .venv/bin/meshbox"
