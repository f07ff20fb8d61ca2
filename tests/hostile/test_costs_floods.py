"""Floods inside a tunnel, and map streams whose bytes nobody takes: each ends soon, with one line of log.

Headscale: 5 MB of log, and streams that are never dropped.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

import h2.settings
import pytest

from meshbox.config import Limits
from meshbox.serve.guard import HELD_LIMIT
from tests.fake.client import Tunnel
from tests.fake.node import FakeNode
from tests.hostile.stand import Stand, standing, watched

ENHANCE_YOUR_CALM = 11
FLOOD_SECONDS = 0.1
"""Processor time of the server for one connection that floods it, handshake included."""

STALLED = 90.0
LOG_BYTES = 4096


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload) << 8 | kind) + struct.pack(">BI", flags, stream_id) + payload


def flood_resets(tunnel: Tunnel) -> None:
    for _ in range(300):
        tunnel.reset(tunnel.start("POST", "/machine/map", b"{}"))


def flood_of(one: bytes, times: int) -> Callable[[Tunnel], None]:
    return lambda tunnel: tunnel.send_plain(one * times)


FLOODS: dict[str, Callable[[Tunnel], None]] = {
    "resets": flood_resets,
    "pings": flood_of(frame(6, 0, 0, bytes(8)), 20_000),
    "settings": flood_of(frame(4, 0, 0, struct.pack(">HI", 4, 65_535)), 20_000),
    "window updates": flood_of(frame(8, 0, 0, struct.pack(">I", 1)), 20_000),
    "priorities": flood_of(frame(2, 0, 1, bytes(5)), 20_000),
    "unknown frames": flood_of(frame(0xF, 0, 0, bytes(8)), 20_000),
    "continuations": flood_of(frame(1, 0, 1, b"\x00") + frame(9, 0, 1, b"\x00") * 5_000, 1),
}


async def test_a_flood_ends_the_connection_with_one_line_of_log(tmp_path: Path) -> None:
    connections = 20
    async with standing(tmp_path) as stand, watched(stand):
        for number, (kind, flood) in enumerate(FLOODS.items(), start=1):
            source, logged, began = f"127.0.8.{number}", len(stand.log()), stand.cpu()
            for _ in range(connections):
                assert await flooded(stand, flood, source) in (ENHANCE_YOUR_CALM, None), kind
            cost = (stand.cpu() - began) / connections
            print(f"{kind}: {cost * 1000:.1f} ms for each, {len(stand.log()) - logged} bytes of log")
            assert cost <= FLOOD_SECONDS, kind
            assert len([line for line in stand.lines("tunnel_dropped") if source in line]) == 1, kind
            assert len(stand.log()) - logged < LOG_BYTES, kind


async def flooded(stand: Stand, flood: Callable[[Tunnel], None], source: str) -> int | None:
    """The code of the GOAWAY with which the flooded connection ended; None when the end overtook it."""
    tunnel = await Tunnel.open(*stand.door, os.urandom(32), source=source)
    flood(tunnel)
    await asyncio.wait_for(tunnel.closed.wait(), 10)
    await tunnel.close()
    return tunnel.goaway[0] if tunnel.goaway else None


async def test_all_floods_at_once_for_a_while(tmp_path: Path) -> None:
    """As fast as one attacker's machine can. The two healthy nodes are the test."""
    async with standing(tmp_path) as stand, watched(stand):
        until, ended = time.monotonic() + 6, 0

        async def go_on(flood: Callable[[Tunnel], None], source: str) -> None:
            nonlocal ended
            while time.monotonic() < until:
                await flooded(stand, flood, source)
                ended += 1

        began = stand.cpu()
        await asyncio.gather(
            *(go_on(flood, f"127.0.9.{number}") for number, flood in enumerate(FLOODS.values(), start=1))
        )
        print(f"{ended} connections flooded, the server {(stand.cpu() - began) / 6 * 100:.0f} % busy")
        assert len(stand.lines("tunnel_dropped")) == len(FLOODS)


async def test_floods_from_many_addresses_fill_no_log(tmp_path: Path) -> None:
    """An attacker with a network of addresses gets a line for each of the first few only."""
    async with standing(tmp_path) as stand, watched(stand):
        logged = len(stand.log())
        for number in range(1, 101):
            tunnel = await Tunnel.open(*stand.door, os.urandom(32), source=f"127.0.7.{number}")
            tunnel.start("POST", "/machine/register", register_body())
            await asyncio.sleep(0)
            FLOODS["pings"](tunnel)
            await asyncio.wait_for(tunnel.closed.wait(), 10)
            await tunnel.close()
        print(f"{len(stand.log()) - logged} bytes of log")
        for event in ("tunnel_dropped", "registration_refused"):
            assert 1 <= len(stand.lines(event)) <= 21, event


@pytest.mark.parametrize("who", ["sixty strangers", "one node"])
async def test_megabytes_that_are_dear_to_read(tmp_path: Path, who: str) -> None:
    """A body of a third of a million lists takes 40 ms to parse. They send hundreds of them; nobody else
    waits for that, and few are kept."""
    start = b'{"Version":142,"NodeKey":"nodekey:' + b"ab" * 32 + b'","X":['
    body = start + b",".join([b"[]"] * (((1 << 20) - len(start) - 2) // 3)) + b"]}"
    async with standing(tmp_path) as stand, watched(stand):
        tunnels = await (crowd(stand) if who == "sixty strangers" else broken_node(stand))
        before, peak, until = stand.memory(), 0, time.monotonic() + 4

        async def go_on(tunnel: Tunnel) -> None:
            nonlocal peak
            while time.monotonic() < until and not tunnel.closed.is_set():
                stream = tunnel.start("POST", "/machine/map", body)
                await asyncio.wait([asyncio.ensure_future(stream.ended.wait())], timeout=2)
                peak = max(peak, stand.memory() - before)

        await asyncio.gather(*(go_on(tunnel) for tunnel in tunnels for _ in range(4)))
        closed = sum(tunnel.closed.is_set() for tunnel in tunnels)
        print(f"{peak / 1024 / 1024:+.0f} MB at most, {closed} of {len(tunnels)} tunnels closed for it")
        assert peak < HELD_LIMIT + (96 << 20)
        assert closed <= await stand.counter("bodies")
        for tunnel in tunnels:
            await tunnel.close()


async def crowd(stand: Stand) -> list[Tunnel]:
    return [await Tunnel.open(*stand.door, os.urandom(32)) for _ in range(60)]


async def broken_node(stand: Stand) -> list[Tunnel]:
    """As many tunnels as a node may have, each of them known."""
    node = await stand.joined("broken", await stand.auth_key("--reusable"))
    lite = json.dumps(node.map_request(Stream=False, OmitPeers=True)).encode()
    tunnels = [await Tunnel.open(*stand.door, node.machine) for _ in range(7)]
    for tunnel in tunnels:
        assert (await tunnel.request("POST", "/machine/map", lite)).status == 200
    return tunnels


def register_body() -> bytes:
    return json.dumps(FakeNode(("", 0, b""), "stranger").register_request("swordfish")).encode()


async def large_tailnet(stand: Stand, key: str, nodes: int = 300) -> None:
    """So many facts that a whole map as plain JSON is larger than what kernels buffer."""
    keys = ["ssh-ed25519 " + chr(65 + number) * 900 for number in range(7)]
    for number in range(nodes):
        node = stand.node(f"large-{number}")
        request = node.register_request(key)
        request["Hostinfo"]["sshHostKeys"] = keys
        tunnel = await node.connect()
        assert (await tunnel.request("POST", "/machine/register", json.dumps(request).encode())).status == 200
        await node.close()


async def test_a_map_stream_whose_bytes_nobody_takes_is_dropped(tmp_path: Path) -> None:
    """With the limit shortened; that the real one fits is the last line."""
    async with standing(tmp_path, limits={"map_stall_timeout": "3s"}) as stand, watched(stand):
        key = await stand.auth_key("--reusable")
        await large_tailnet(stand, key)
        before = stand.memory()
        nodes = [await silent(stand, key, "window") for _ in range(3)]
        lives = await asyncio.gather(*(life(stand, node) for node in nodes))
        print(f"dropped after {[round(one, 1) for one in lives]} s")
        assert max(lives) < 3 + 2.5, lives
        assert await stand.counter("map_stalled") == len(nodes)
        assert len(stand.lines("map_stalled")) == 1
        left = stand.memory() - before
        print(f"{left / 1024 / 1024:+.1f} MB")
        for node in nodes:
            await node.close()
    assert Limits().map_stall_timeout <= STALLED - 10


async def silent(stand: Stand, key: str, way: str) -> FakeNode:
    """A node that opens a map stream and takes nothing of it: by a closed window, or by not reading."""
    node = stand.node(f"silent-{os.urandom(2).hex()}")
    assert (await node.register(key)).status == 200
    tunnel = await node.connect()
    if way == "window":
        tunnel.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
        tunnel.flush()
    tunnel.start("POST", "/machine/map", json.dumps(node.map_request(Compress="")).encode())
    if way == "socket":
        await asyncio.sleep(0)
        tunnel.writer.transport.pause_reading()
    return node


async def life(stand: Stand, node: FakeNode) -> float:
    """Seconds until the server holds the node's tunnel no more. Its own end is looked at: a client that
    does not read learns nothing."""
    began = time.monotonic()
    port = (await node.connect()).writer.get_extra_info("sockname")[1]
    while time.monotonic() - began < STALLED + 5:
        if not is_held(stand.port, port):
            break
        await asyncio.sleep(0.25)
    return time.monotonic() - began


def is_held(server_port: int, client_port: int) -> bool:
    """Whether the server's end of this connection is established."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (server_port, client_port):
            return state == "01"
    return False
