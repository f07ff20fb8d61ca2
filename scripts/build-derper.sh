#!/bin/sh
# Build the official relay (derper) and its tools (derpprobe, stunc), which judge ours, and the load generator of
# `make bench-derp` from tests/bench/derpload.
#
#   scripts/build-derper.sh      results in .cache/clients/derper/ and .cache/clients/derpload/
#
# Sources come through the Go module proxy and nothing else. What is built already is left alone; the load generator is
# built again when its source is newer.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
clients=${MESHBOX_CLIENT_CACHE:-$root/.cache/clients}
newest=1.102.5
module=tailscale.com
load=$root/tests/bench/derpload

# shellcheck source=scripts/go.sh
. "$root/scripts/go.sh"
need_go

mkdir -p "$clients"
if [ -x "$clients/derper/derper" ] && [ -x "$clients/derper/derpprobe" ] && [ -x "$clients/derper/stunc" ]; then
    say "derper already built"
else
    install_at "$newest" "$clients/derper" derper derpprobe stunc
fi

if [ "$clients/derpload/derpload" -nt "$load/main.go" ]; then
    say "load generator already built"
else
    say "building the load generator"
    mkdir -p "$clients/derpload"
    (cd "$load" && CGO_ENABLED=0 GOFLAGS= GOTOOLCHAIN=auto nice "$go" build -trimpath -o "$clients/derpload/derpload" .)
fi
