# shellcheck shell=sh
# Sourced after packages.sh: `run_lanes` runs all tests in four processes side by side. Most of their time is spent waiting
# for clients, and one after the other they take three quarters of an hour.

lanes="newest older machines rest"

run_lanes() {
    logs=$(mktemp -d)
    # Most have ended by themselves; with set -e a kill that finds nobody would make a good run a failed one.
    trap 'kill $lane_ids $watch_id 2>/dev/null || true; rm -rf "$logs"' EXIT
    trap 'exit 130' INT TERM
    lane_ids="" watch_id="" failed=""
    start_lane newest -m "world and not older"
    start_lane older -m "older"
    start_lane machines -m "appliance"
    start_lane rest -m "not world and not appliance"
    watch_lanes &
    watch_id=$!
    for lane in $lanes; do
        wait_for_lane "$lane" || failed="$failed $lane"
    done
    kill "$watch_id" 2>/dev/null
    for lane in $lanes; do
        say "== $lane"
        # Which file was run when has been said already.
        grep -v '^tests/.*\[ *[0-9]*%\]$' "$logs/$lane" || true
    done
    [ -z "$failed" ] || say "FAILED:$failed"
    [ -z "$failed" ]
}

start_lane() {
    name=$1
    shift
    .venv/bin/python -m pytest "$@" >"$logs/$name" 2>&1 &
    eval "id_of_$name=$!"
    lane_ids="$lane_ids $!"
}

wait_for_lane() {
    eval "wait \$id_of_$1"
}

# One line a minute says how far each is. The sleep outlives its parent, and must not hold the output open for whoever reads it.
watch_lanes() {
    while sleep 60 >/dev/null 2>&1; do
        for lane in $lanes; do
            printf '%s: %s\n' "$lane" "$(grep '^tests/' "$logs/$lane" | tail -n 1)"
        done
    done
}
