#!/bin/sh
# Build pebble, Let's Encrypt's own test authority, and its DNS server: the judges of our ACME client.
#
#   scripts/build-pebble.sh      results in .cache/pebble/VERSION/{pebble,pebble-challtestsrv}
#
# Sources come through the Go module proxy and nothing else. Half a minute on two cores, once.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
version=2.10.1
module=github.com/letsencrypt/pebble/v2
place=${MESHBOX_PEBBLE_CACHE:-$root/.cache/pebble}/$version

# shellcheck source=scripts/go.sh
. "$root/scripts/go.sh"

if [ -x "$place/pebble" ] && [ -x "$place/pebble-challtestsrv" ]; then
    say "$version already built"
    exit 0
fi
need_go
mkdir -p "$place.part"
say "building pebble $version"
GOBIN=$place.part GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS= nice "$go" install -p "${MESHBOX_BUILD_JOBS:-2}" \
    -trimpath "$module/cmd/pebble@v$version" "$module/cmd/pebble-challtestsrv@v$version"
rm -rf "$place"
mv "$place.part" "$place"
say "$version ready: $place"
