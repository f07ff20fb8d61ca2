#!/bin/sh
# Build the official clients that tests/world and `make demo` run: tailscale and tailscaled at every version
# in MESHBOX_CLIENTS (default below: the oldest we support, one in between, the newest), and tsp, the official
# low-level protocol client, at the newest. Also the newest one as it runs behind WebSockets: a tailscaled that
# reaches relays that way, and the WebAssembly client for browsers with the loader of its Go toolchain.
#
#   scripts/build-clients.sh [VERSION...]      results in .cache/clients/VERSION/{tailscale,tailscaled}
#                                              .cache/clients/tsp/tsp
#                                              .cache/clients/websocket/{tailscaled,main.wasm,wasm_exec.js}
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

# Build tags and other systems are beyond `go install`: this is built where the module's source lies.
build_websocket() {
    destination=$1; began=$(date +%s)
    source=$("$go" mod download -json "$module@v$newest" | sed -n 's/^[[:space:]]*"Dir": "\(.*\)",\{0,1\}$/\1/p')
    stamp="-s -w -X $module/version.shortStamp=$newest -X $module/version.longStamp=$newest"
    mkdir -p "$destination.part"
    say "building tailscaled $newest for WebSockets"
    (cd "$source" && GOTOOLCHAIN=auto CGO_ENABLED=0 GOFLAGS= nice "$go" build -p "${MESHBOX_BUILD_JOBS:-2}" \
        -trimpath -tags ts_debug_websockets -ldflags "$stamp" -o "$destination.part/tailscaled" ./cmd/tailscaled)
    say "building the browser client $newest"
    (cd "$source" && GOTOOLCHAIN=auto GOOS=js GOARCH=wasm GOFLAGS= nice "$go" build -p "${MESHBOX_BUILD_JOBS:-2}" \
        -trimpath -ldflags "$stamp" -o "$destination.part/main.wasm" ./cmd/tsconnect/wasm)
    toolchain=$(cd "$source" && GOTOOLCHAIN=auto "$go" env GOROOT)
    cp "$toolchain/lib/wasm/wasm_exec.js" "$destination.part/"
    rm -rf "$destination"
    mv "$destination.part" "$destination"
    say "clients for WebSockets ready in $(( $(date +%s) - began )) s: $destination"
}

if [ -f "$clients/websocket/main.wasm" ]; then
    say "clients for WebSockets already built"
else
    build_websocket "$clients/websocket"
fi
