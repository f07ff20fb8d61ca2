# shellcheck shell=sh
# Sourced by the other scripts: install Debian packages that are missing, and say so.
#
#   want COMMAND PACKAGE    remember PACKAGE when COMMAND is not on PATH
#   want_file FILE PACKAGE  the same for a file (a header, a library's .pc)
#   install_wanted          install what was remembered; fails, and says what to type, where it may not
#   unpack PATH PACKAGE     the files of PACKAGE below .cache/unpacked/PACKAGE, where its program is then at PATH: for what
#                           Debian starts as a service when it is installed, which nobody asked for. $root is the checkout

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

unpack() {
    place=$root/.cache/unpacked/$2
    [ -x "$place/$1" ] && return 0
    command -v apt-get >/dev/null 2>&1 || { say "this is no Debian: $2 cannot be had"; return 1; }
    say "unpacking the Debian package $2"
    rm -rf "$place"
    mkdir -p "$place"
    (
        cd "$place"
        apt-get download -qq "$2" >/dev/null 2>&1 || { apt-get update -qq && apt-get download -qq "$2"; } >/dev/null
        dpkg-deb -x ./*.deb .
        rm ./*.deb
    ) && [ -x "$place/$1" ]
}
