#!/bin/sh
# Build the OpenID Connect provider that judges our signing in: the example of zitadel/oidc, a certified library.
#
#   scripts/build-openid.sh      result in .cache/openid/VERSION/provider
#
# Sources come through the Go module proxy and nothing else. Half a minute on two cores, once.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
version=3.52.0
module=github.com/zitadel/oidc/v3
place=${MESHBOX_OPENID_CACHE:-$root/.cache/openid}/$version

# shellcheck source=scripts/go.sh
. "$root/scripts/go.sh"

if [ -x "$place/provider" ]; then
    say "$version already built"
    exit 0
fi
need_go
mkdir -p "$place.part"
say "building the OpenID Connect provider $version"
GOBIN=$place.part GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS= nice "$go" install -p "${MESHBOX_BUILD_JOBS:-2}" \
    -trimpath "$module/example/server@v$version"
mv "$place.part/server" "$place.part/provider"
rm -rf "$place"
mv "$place.part" "$place"
say "$version ready: $place"
