# shellcheck shell=sh
# Sourced: root directories of Debian 13, made once with mmdebstrap and kept under .cache/appliance/. With
# MESHBOX_DISTRIBUTION=noble or resolute they are of Ubuntu 24.04 or 26.04.
#
#   debian_root NAME PACKAGES   sets $made to the directory of a root with the packages (comma-separated)
#   in_root DIR COMMAND...      runs a command in a throw-away copy of it, without network unless $network is "yes";
#                               $bind is the one directory of the outside that is seen there, as /srv/out
#
# Needs root. `mmdebstrap` is installed when it is missing.

suite=trixie
mirror=${MESHBOX_DEBIAN_MIRROR:-http://deb.debian.org/debian}
components=main keyring=/usr/share/keyrings/debian-archive-keyring.gpg system="Debian 13" orjson=python3-orjson
roots=${MESHBOX_APPLIANCE_CACHE:-$root/.cache/appliance}

roots_ready() {
    [ "$(id -u)" = 0 ] || { why="a Debian root directory can be made by root only"; return 1; }
    want mmdebstrap mmdebstrap
    want_file "$keyring" debian-archive-keyring
    install_wanted || { why="mmdebstrap is missing"; return 1; }
    # A kernel without overlayfs, or a container that may not mount.
    unshare --mount --propagation private sh -c '
        set -e
        mount -t tmpfs scratch /mnt && mkdir /mnt/a /mnt/b /mnt/c /mnt/d
        mount -t overlay overlay -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/c /mnt/d' 2>/dev/null ||
        { why="this machine lets nobody mount an overlay"; return 1; }
    case ${MESHBOX_DISTRIBUTION:-trixie} in
        trixie) ;;
        noble) take_ubuntu && system="Ubuntu 24.04" orjson="" ;;
        resolute) take_ubuntu && system="Ubuntu 26.04" ;;
        *) why="MESHBOX_DISTRIBUTION is $MESHBOX_DISTRIBUTION, none of trixie, noble, resolute"; return 1 ;;
    esac
}

# Debian 12 has no package of Ubuntu's keys, so they come out of a root of Debian 13.
take_ubuntu() {
    debian_root keys ubuntu-archive-keyring || { why="Ubuntu's keys are missing"; return 1; }
    keyring=$made/usr/share/keyrings/ubuntu-archive-keyring.gpg
    suite=$MESHBOX_DISTRIBUTION components=main,universe
    mirror=${MESHBOX_UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
}

debian_root() {
    name=$1 packages=$2
    made=$roots/$name-$suite-$(printf '%s\n' "$suite $packages" | cksum | cut -d' ' -f1)
    [ -e "$made/.made" ] && return 0
    say "making a root of $system for $name (once; it is kept in $roots)"
    rm -rf "$made" "$roots/$name-$suite-"*
    mkdir -p "$made"
    mmdebstrap --quiet --variant=minbase --include="apt,$packages" --aptopt='Acquire::Retries "3"' \
        --keyring="$keyring" --components="$components" "$suite" "$made" "$mirror" >&2 || { rm -rf "$made"; return 1; }
    : >"$made/etc/machine-id"
    touch "$made/.made"
}

in_root() {
    lower=$1
    shift
    net=--net
    [ "${network:-}" != yes ] || net=
    bind=${bind:-} network=${network:-} unshare --mount --propagation private $net --pid --fork --uts --ipc sh -c '
        set -e
        lower=$1
        shift
        [ "$network" = yes ] || ip link set lo up 2>/dev/null || true
        mount -t tmpfs scratch /mnt
        mkdir /mnt/upper /mnt/work /mnt/root
        mount -t overlay overlay -o "lowerdir=$lower,upperdir=/mnt/upper,workdir=/mnt/work" /mnt/root
        mount -t proc proc /mnt/root/proc
        mount --rbind /dev /mnt/root/dev
        mkdir -p /mnt/root/srv/out
        if [ "$network" = yes ]; then cp -L /etc/resolv.conf /mnt/root/etc/resolv.conf; fi
        if [ -n "$bind" ]; then mount --bind "$bind" /mnt/root/srv/out; fi
        exec chroot /mnt/root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 "$@"
    ' in_root "$lower" "$@"
}
