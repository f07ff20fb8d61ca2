# shellcheck shell=sh
# Sourced by the other scripts: install Debian packages that are missing, and say so.
#
#   want COMMAND PACKAGE    remember PACKAGE when COMMAND is not on PATH
#   want_file FILE PACKAGE  the same for a file (a header, a library's .pc)
#   install_wanted          install what was remembered; fails, and says what to type, where it may not

wanted=""

say() { printf '%s\n' "${0##*/}: $*" >&2; }

want() { command -v "$1" >/dev/null 2>&1 || wanted="$wanted $2"; }

want_file() { [ -e "$1" ] || wanted="$wanted $2"; }

install_wanted() {
    [ -n "$wanted" ] || return 0
    # shellcheck disable=SC2086  # a list of package names
    set -- $wanted
    wanted=""
    if ! command -v apt-get >/dev/null 2>&1; then
        say "missing here: $* (Debian's names). This is no Debian: install them with your own package manager."
        return 1
    fi
    if [ "$(id -u)" != 0 ]; then
        say "missing here: $*. Install them with: sudo apt-get install $*"
        return 1
    fi
    say "installing Debian packages: $*"
    # The lists of a fresh container are empty, those of an old machine name files that are gone.
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null 2>&1 && return 0
    apt-get update -qq >/dev/null || say "apt-get update failed; trying with the lists there are"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}
