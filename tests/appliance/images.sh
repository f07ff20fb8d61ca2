#!/bin/sh
# What the appliance tests stand on, made once and kept under .cache/appliance/:
#
#   base       a bare Debian 13 (or what MESHBOX_DISTRIBUTION says, see packaging/root.sh) as a provider delivers it: systemd, ssh, Python, nothing else
#   archive    the distribution's packages that the appliance installs, as an apt archive: the tests reach no network
#
# Prints two lines: the directory of each.
set -eu

root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
. scripts/packages.sh
. packaging/root.sh

why=""
want systemd-nspawn systemd-container
want rsync rsync
roots_ready || { say "no test machine can be made here: $why"; exit 1; }

BASE=systemd,systemd-sysv,dbus,openssh-server,python3,python3-apt,iproute2,iputils-ping,ca-certificates,procps,kmod
# What the packages depend on and what ansible/site.yml asks for.
WANTED="python3-aiohttp python3-click python3-cryptography python3-hpack python3-jinja2 python3-jwt python3-nacl $orjson
python3-peewee python3-systemd python3-yaml python3-zstandard python3-uvloop nftables unattended-upgrades chrony
prometheus-node-exporter debconf restic certbot"

debian_root base "$BASE"
base=$made

archive=$roots/archive-$suite-$(printf '%s\n' "$BASE $WANTED $suite" | cksum | cut -d' ' -f1)
if [ ! -e "$archive/.made" ]; then
    say "downloading the packages of the appliance (once)"
    rm -rf "$roots"/archive-"$suite"-*
    mkdir -p "$archive"
    # shellcheck disable=SC2086  # a list of package names
    bind=$archive network=yes in_root "$base" sh -euc '
        apt-get update -qq
        apt-get install -qq -y --download-only "$@" >/dev/null
        cp /var/cache/apt/archives/*.deb /srv/out/' download $WANTED >&2
    want apt-ftparchive apt-utils
    install_wanted
    (cd "$archive" && apt-ftparchive packages . >Packages && gzip -9nk Packages && apt-ftparchive release . >Release.new &&
        mv Release.new Release)
    touch "$archive/.made"
fi
printf '%s\n%s\n' "$base" "$archive"
