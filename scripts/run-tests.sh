#!/bin/sh
# Run all tests, after installing what they need: Debian's network tools, Go, the official clients, and images of
# machines to boot. Arguments go to pytest; without any, four processes share the tests. What cannot run here is said at
# the beginning and at the end, and with CI=true it is a failure.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh
. scripts/laboratory.sh
. scripts/appliance.sh
. scripts/lanes.sh

cannot() {
    say "!! $1 CANNOT RUN HERE: $why."
    if [ "${CI:-}" = true ]; then
        say "!! With CI=true that counts as a failure."
        exit 1
    fi
    left_out="$left_out${left_out:+ and }not $2"
    not_run="$not_run${not_run:+, }tests/$2 ($why)"
}

left_out="" not_run=""
if ! laboratory_ready; then
    cannot "The tests with official clients" world
elif ! { sh scripts/build-clients.sh && sh scripts/build-derper.sh && sh scripts/build-pebble.sh && sh scripts/build-openid.sh; }; then
    why="the official clients and relay, the test authority or the sign-in provider could not be built"
    cannot "The tests with official clients" world
elif ! { unpack usr/sbin/nginx nginx && unpack usr/bin/caddy caddy && unpack usr/bin/prometheus prometheus; }; then
    why="the proxies or Prometheus could not be unpacked"
    cannot "The tests with official clients" world
fi
if [ -n "$left_out" ]; then
    why="they need the official clients"
    cannot "The tests of the appliance" appliance
elif ! appliance_ready; then
    cannot "The tests of the appliance" appliance
fi
want chromedriver chromium-driver
if [ -z "$left_out" ] && ! install_wanted; then
    why="Chromium could not be installed"
    left_out="not browser" not_run="tests with a browser ($why)"
    [ "${CI:-}" != true ] || cannot "The tests with a browser" browser
fi
if [ -z "$left_out" ]; then
    [ $# -eq 0 ] || exec .venv/bin/python -m pytest "$@"
    run_lanes
    exit
fi

if [ "$(id -u)" != 0 ]; then
    left_out="$left_out and not root"
    not_run="$not_run, tests that need root"
fi
status=0
.venv/bin/python -m pytest -m "$left_out" "$@" || status=$?
say "!! NOT RUN: $not_run."
exit $status
