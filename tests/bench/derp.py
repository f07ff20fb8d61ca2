"""`make bench-derp`: our relay and the official `derper` side by side, in one run, under one load generator.

Both listen on loopback with a certificate of one authority. Each row is measured for one and then for the
other, so that whatever else the machine does disturbs both alike. The processor time is the relay's own;
throughput and latency contain the load generator, which works on the same cores.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.bench.table import show
from tests.world.clients import CACHE
from tests.world.relays import Bench, Relay

LOAD = CACHE / "derpload" / "derpload"
PAIRS = (1, 10, 100)
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SECONDS = float(os.environ.get("SECONDS", "3"))
IDLE = 1000

Figures = dict[str, float]


def processes(relay: Relay) -> str:
    """The relay's process and its children (workers)."""
    pids = [relay.daemon.pid]
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            pids += [int(child) for child in (task / "children").read_text().split()]
    return ",".join(map(str, pids))


def measure(relay: Relay, **more: float) -> Figures:
    options = {"addr": f"127.0.0.1:{relay.port}", "name": relay.name, "pid": processes(relay), **more}
    argv = [str(LOAD), *(word for name, value in options.items() for word in (f"-{name}", str(value)))]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise SystemExit(f"{relay.name}: {done.stderr}")
    figures: Figures = json.loads(done.stdout)
    return figures


def medians(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def compare(relays: dict[str, Relay], **more: float) -> dict[str, Figures]:
    """Medians of ROUNDS, the relays taking turns."""
    runs: dict[str, list[Figures]] = {who: [] for who in relays}
    for _ in range(ROUNDS):
        for who, relay in relays.items():
            runs[who].append(measure(relay, **more))
            time.sleep(0.5)
    return {who: medians(found) for who, found in runs.items()}


def traffic(relays: dict[str, Relay]) -> None:
    rows: list[tuple[Any, ...]] = []
    for pairs in PAIRS:
        full = compare(relays, pairs=pairs, seconds=SECONDS)
        half = int(min(found["pps"] for found in full.values()) / 2)
        paced = compare(relays, pairs=pairs, seconds=SECONDS, rate=half)
        for who, found in full.items():
            delay = paced[who]
            rows.append((
                pairs, who, f"{found['pps']:,.0f}", f"{found['gbit']:.2f}", f"{found['us']:.1f}",
                f"{1300 * 8 / 1000 / found['us']:.2f}", f"{found['cpu']:.0f} %", f"{found['lost']:.1f} %",
                f"{half:,}", *(f"{delay[q] / 1000:.2f}" for q in ("p50", "p90", "p99", "p99.9")),
                f"{delay['lost']:.1f} %",
            ))  # fmt: skip
    heads = (
        "pairs", "relay", "packets/s", "Gbit/s", "us/packet", "Gbit/s per core", "cpu", "lost",
        "half load", "p50 ms", "p90", "p99", "p99.9", "lost",
    )  # fmt: skip
    show("1,300-byte packets through TLS, window 24; then half of the slower one's load", heads, rows)


def idle(relays: dict[str, Relay]) -> None:
    rows = [(who, f"{measure(relay, idle=IDLE)['idle_kb']:.1f} KB") for who, relay in relays.items()]
    show(f"Memory per idle TLS client, {IDLE} of them", ("relay", "memory"), rows)


def main() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 16_384)), hard))
    if not LOAD.exists():
        sys.exit("the load generator is missing: run scripts/build-derper.sh")
    with tempfile.TemporaryDirectory(prefix="meshbox-bench-") as home:
        bench = Bench(Path(home))
        limits = "bytes_per_second: 0, connections_per_address: 99999, connections_unauthenticated: 99999"
        (bench.directory / "relay.yaml").write_text(f"limits: {{{limits}}}\n")
        settings = ("-c", str(bench.directory / "relay.yaml"))
        try:
            ours, official = bench.ours("ours.test", *settings), bench.derper("official.test")
            # Memory first: what was busy once keeps its buffers.
            idle({"ours": ours, "derper": official})
            traffic({"ours": ours, "derper": official})
        finally:
            bench.close()


if __name__ == "__main__":
    main()
