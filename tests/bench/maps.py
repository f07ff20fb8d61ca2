"""The price of a map, in one process without sockets: ours beside the plain way in the same run.

The plain way encodes and compresses the whole map for each viewer, as a server does that shares
nothing. Both are timed here, one after the other, so that the ratio holds on any machine.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import orjson
import zstandard

from meshbox.tailnet import report
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from tests.bench.table import show
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request

ROUNDS = 50


def milliseconds(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    began = time.process_time()
    for _ in range(rounds):
        work()
    return (time.process_time() - began) * 1000 / rounds


def fill(count: int) -> Tailnet:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    for number in range(1, count + 1):
        node = join(t, number, key, f"host-{number}")
        report.take(t, machine(number), map_request(number, f"host-{number}"), NOW)
        t.presence.enter(node.id)
    return t


def row(count: int) -> tuple[object, ...]:
    t = fill(count)
    mapper = Mapper(t)
    viewer = t.nodes[count // 2]
    size = sum(map(len, Poll(mapper, viewer, "zstd").first(NOW)))
    ours = milliseconds(lambda: Poll(mapper, viewer, "zstd").first(NOW))
    outlook = mapper.outlook(viewer, NOW)
    decoded = [orjson.loads(mapper.peers.node(node_id, outlook)) for node_id in t.nodes]
    compressor = zstandard.ZstdCompressor(level=1)
    plain = milliseconds(lambda: compressor.compress(orjson.dumps({"Peers": decoded})), 10)
    polls = [Poll(mapper, node, "zstd") for node in t.nodes.values()]
    for poll in polls:
        poll.first(NOW)
    ports = iter(range(1, 1000))

    def change() -> None:
        endpoints = [f"192.0.2.1:{next(ports)}"]
        report.take(t, machine(1), map_request(1, "host-1", endpoints=endpoints), NOW)
        for poll in polls:
            poll.next(NOW)

    delta = milliseconds(change, 10)
    return count, f"{ours:.2f}", f"{plain:.2f}", f"{size / 1000:.0f}", f"{delta:.1f}"


def run(counts: tuple[int, ...]) -> None:
    header = ("nodes", "full map, ms", "plain full map, ms", "map, kB", "one change made for all, ms")
    show("Maps without sockets (processor time)", header, [row(count) for count in counts])
