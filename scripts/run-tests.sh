#!/bin/sh
# Run all tests, after installing what they need: Debian's network tools, Go and the official clients.
# Arguments go to pytest. Where network namespaces cannot be made, the tests with official clients cannot run;
# that is said at the beginning and at the end, and with CI=true it is a failure.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh
. scripts/laboratory.sh

if laboratory_ready; then
    if sh scripts/build-clients.sh && sh scripts/build-derper.sh && sh scripts/build-pebble.sh; then
        exec .venv/bin/python -m pytest "$@"
    fi
    why="the official clients and relay or the test authority could not be built"
fi

say "!! The tests with official clients CANNOT RUN HERE: $why."
if [ "${CI:-}" = true ]; then
    say "!! With CI=true that counts as a failure."
    exit 1
fi
root_tests=""
[ "$(id -u)" = 0 ] || root_tests=" and not root"
status=0
.venv/bin/python -m pytest -m "not world$root_tests" "$@" || status=$?
say "!! NOT RUN: tests/world${root_tests:+ and tests that need root} ($why)."
exit $status
