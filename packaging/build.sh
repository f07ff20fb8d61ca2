#!/bin/sh
# `make deb`: build the Debian packages in a clean root of Debian 13 (or Ubuntu, see root.sh) without network, and hold lintian against them.
#
#   packaging/build.sh [--ref COMMIT] [--version VERSION] [--out DIR] [--no-lintian]
#
# Without --ref the files of the working tree are taken, as they are. Results go to dist/: .deb, .dsc with its two
# archives, .buildinfo, .changes. The same files give the same packages, bit by bit.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh
. packaging/root.sh

ref="" version="" out=$root/dist lintian=yes
while [ $# -gt 0 ]; do
    case $1 in
        --ref) ref=$2; shift 2 ;;
        --version) version=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --no-lintian) lintian=no; shift ;;
        *) say "unknown option $1"; exit 2 ;;
    esac
done

why=""
roots_ready || { say "no package can be built here: $why"; exit 1; }

BUILD_ROOT=build-essential,debhelper,dh-python,pybuild-plugin-pyproject,python3-all,python3-setuptools,fakeroot
BUILD_ROOT=$BUILD_ROOT,bash-completion,man-db,po-debconf,lintian,apt-utils,systemd,systemd-dev
BUILD_ROOT=$BUILD_ROOT,python3-aiohttp,python3-click,python3-cryptography,python3-hpack,python3-jinja2,python3-jwt,python3-nacl
BUILD_ROOT=$BUILD_ROOT,python3-peewee,python3-systemd,python3-uvloop,python3-yaml,python3-zstandard${orjson:+,$orjson}

debian_root build "$BUILD_ROOT"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/tree" "$out"
if [ -n "$ref" ]; then
    git archive "$ref" | tar -x -C "$work/tree"
else
    git ls-files -z --cached --others --exclude-standard | tar -c --null --no-recursion -T - 2>/dev/null |
        tar -x -C "$work/tree"
fi
mv "$work/tree/packaging/debian" "$work/debian"
[ -z "$version" ] || sed -i "1s/([^)]*)/($version)/" "$work/debian/changelog"
version=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$work/debian/changelog")
upstream=${version%-*}
stamp=$(date -u -d "$(sed -n 's/^ -- .*>  //p;/^ -- /q' "$work/debian/changelog")" +%s)

# Names, owners and times in the archives say nothing of this machine.
chmod -R u=rwX,go=rX "$work/tree" "$work/debian"
chmod 755 "$work/debian/rules"
find "$work/tree" "$work/debian" -exec touch -h -d "@$stamp" {} +
mv "$work/tree" "$work/meshbox-$upstream"
tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$stamp" -cJf \
    "$work/meshbox_$upstream.orig.tar.xz" "meshbox-$upstream"
mv "$work/debian" "$work/meshbox-$upstream/debian"

say "building meshbox $version"
bind=$work in_root "$made" sh -euc '
    cp -a /srv/out /build
    cd /build/meshbox-*
    if ! dpkg-buildpackage --sanitize-env -us -uc -F -rfakeroot >/srv/out/build.log 2>&1; then
        tail -40 /srv/out/build.log >&2
        exit 1
    fi
    cd ..
    rm -rf meshbox-*/
    mkdir /srv/out/made
    cp meshbox* /srv/out/made/
    if [ "$1" = yes ]; then
        # Two tags are about an upload to Debian itself, which this is not; one is that this lintian is older than
        # the policy we follow, as it is on Ubuntu 24.04.
        useradd -m builder
        chmod -R a+rX /build
        cd /build
        runuser -u builder -- lintian --profile debian --fail-on error,warning \
            --suppress-tags initial-upload-closes-no-bugs,bad-distribution-in-changes-file,newer-standards-version ./*.changes
    fi' build "$lintian"
cp "$work"/made/* "$out/"
say "in $out:"
(cd "$out" && ls -1 meshbox*"_${version}"*.deb) >&2
