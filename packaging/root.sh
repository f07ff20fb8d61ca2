# shellcheck shell=sh
# Sourced: Debian 13 root directories, made once with mmdebstrap and kept under .cache/appliance/.
#
#   debian_root NAME PACKAGES   sets $made to the directory of a root with the packages (comma-separated)
#   in_root DIR COMMAND...      runs a command in a throw-away copy of it, without network unless $network is "yes";
#                               $bind is the one directory of the outside that is seen there, as /srv/out
#
# Needs root. `mmdebstrap` is installed when it is missing.

suite=trixie
mirror=${MESHBOX_DEBIAN_MIRROR:-http://deb.debian.org/debian}
roots=${MESHBOX_APPLIANCE_CACHE:-$root/.cache/appliance}

roots_ready() {
    [ "$(id -u)" = 0 ] || { why="a Debian root directory can be made by root only"; return 1; }
    want mmdebstrap mmdebstrap
    want_file /usr/share/keyrings/debian-archive-keyring.gpg debian-archive-keyring
    install_wanted || { why="mmdebstrap is missing"; return 1; }
    # A kernel without overlayfs, or a container that may not mount.
    unshare --mount --propagation private sh -c '
        set -e
        mount -t tmpfs scratch /mnt && mkdir /mnt/a /mnt/b /mnt/c /mnt/d
        mount -t overlay overlay -o lowerdir=/mnt/a,upperdir=/mnt/b,workdir=/mnt/c /mnt/d' 2>/dev/null ||
        { why="this machine lets nobody mount an overlay"; return 1; }
}

debian_root() {
    name=$1 packages=$2
    made=$roots/$name-$(printf '%s\n' "$suite $packages" | cksum | cut -d' ' -f1)
    [ -e "$made/.made" ] && return 0
    say "making a Debian 13 root for $name (once; it is kept in $roots)"
    rm -rf "$made" "$roots/$name-"*
    mkdir -p "$made"
    mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='Acquire::Retries "3"' \
        "$suite" "$made" "$mirror" >&2 || { rm -rf "$made"; return 1; }
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
