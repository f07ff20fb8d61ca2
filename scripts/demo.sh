#!/bin/sh
# `make demo`: get this machine ready for the laboratory, then show the main job with official clients.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
. scripts/packages.sh
. scripts/laboratory.sh

laboratory_ready || { say "the demo runs official clients in network namespaces, and $why"; exit 1; }
exec .venv/bin/python -m tests.world.demo
