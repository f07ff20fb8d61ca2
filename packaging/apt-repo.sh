#!/bin/sh
# `make apt-repo`: a signed apt repository of the packages in dist/, as static files for any web server.
#
#   packaging/apt-repo.sh [--from DIR] [--out DIR] [--suite NAME]
#
# Packages that are there already stay: an administrator can go back to an earlier version. The key is the one that
# MESHBOX_APT_KEY names in GNUPGHOME; without it one is made under .cache/apt-key, which is good for trying out.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh

from=$root/dist out=$root/dist/apt suite=stable
while [ $# -gt 0 ]; do
    case $1 in
        --from) from=$2; shift 2 ;;
        --out) out=$2; shift 2 ;;
        --suite) suite=$2; shift 2 ;;
        *) say "unknown option $1"; exit 2 ;;
    esac
done

want apt-ftparchive apt-utils
want gpg gnupg
install_wanted

key=${MESHBOX_APT_KEY:-}
if [ -z "$key" ]; then
    GNUPGHOME=$root/.cache/apt-key
    export GNUPGHOME
    mkdir -p "$GNUPGHOME"
    chmod 700 "$GNUPGHOME"
    key=archive@meshbox.example
    gpg --batch --quiet --list-secret-keys "$key" >/dev/null 2>&1 || {
        say "making a signing key in $GNUPGHOME"
        gpg --batch --quiet --passphrase '' --quick-generate-key "meshbox archive <$key>" ed25519 sign never
    }
fi

index=dists/$suite/main/binary-all
mkdir -p "$out/pool" "$out/$index"
cp "$from"/*.deb "$out/pool/"
cd "$out"
apt-ftparchive packages pool >"$index/Packages"
gzip -9nkf "$index/Packages"
# Asked for by apt for each architecture of the machine; all packages are for all of them.
for architecture in amd64 arm64 armhf; do
    mkdir -p "dists/$suite/main/binary-$architecture"
    cp "$index/Packages" "$index/Packages.gz" "dists/$suite/main/binary-$architecture/"
done
rm -f "dists/$suite/Release" "dists/$suite/InRelease" "dists/$suite/Release.gpg"
apt-ftparchive \
    -o APT::FTPArchive::Release::Origin=meshbox -o APT::FTPArchive::Release::Label=meshbox \
    -o APT::FTPArchive::Release::Suite="$suite" -o APT::FTPArchive::Release::Codename="$suite" \
    -o APT::FTPArchive::Release::Architectures="all amd64 arm64 armhf" \
    -o APT::FTPArchive::Release::Components=main \
    release "dists/$suite" >"dists/$suite/Release.new"
mv "dists/$suite/Release.new" "dists/$suite/Release"
gpg --batch --quiet --yes --local-user "$key" --clearsign -o "dists/$suite/InRelease" "dists/$suite/Release"
gpg --batch --quiet --yes --local-user "$key" --armor --detach-sign -o "dists/$suite/Release.gpg" "dists/$suite/Release"
gpg --batch --quiet --yes --armor --export "$key" >meshbox-archive-keyring.asc
say "in $out: $(grep -c ^Package: "$index/Packages") packages, signed by $key"
