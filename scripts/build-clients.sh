#!/bin/sh
# Build the official clients that tests/world and `make demo` run: tailscale and tailscaled at every version
# in MESHBOX_CLIENTS (default below: the oldest we support, one in between, the newest), and tsp, the official
# low-level protocol client, at the newest.
#
#   scripts/build-clients.sh [VERSION...]      results in .cache/clients/VERSION/{tailscale,tailscaled}
#                                              and .cache/clients/tsp/tsp
#
# Sources come through the Go module proxy and nothing else. Already built binaries are left alone, so a second
# run costs nothing. About six minutes for all three on two cores the first time.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
clients=${MESHBOX_CLIENT_CACHE:-$root/.cache/clients}
versions=${*:-${MESHBOX_CLIENTS:-1.102.5 1.80.3 1.68.0}}
newest=1.102.5
module=tailscale.com

# shellcheck source=scripts/go.sh
. "$root/scripts/go.sh"
need_go

mkdir -p "$clients"
for version in $versions; do
    if [ -x "$clients/$version/tailscaled" ] && [ -x "$clients/$version/tailscale" ]; then
        say "$version already built"
    else
        install_at "$version" "$clients/$version" tailscaled tailscale
    fi
done
if [ -x "$clients/tsp/tsp" ]; then
    say "tsp already built"
else
    install_at "$newest" "$clients/tsp" tsp
fi
