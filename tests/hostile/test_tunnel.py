"""What can be done with a tunnel: at its handshake, its records, its HTTP/2 (hostile cases 7 to 13)."""

from __future__ import annotations

import asyncio
import json
import os
import struct
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.fake.client import Tunnel, upgrade_request
from tests.fake.noise import Initiator, public_of
from tests.fake.server import FakeServer, serving, write_config
from tests.hostile.stand import standing, watched

ENHANCE_YOUR_CALM = 11
LOW_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with serving(write_config(tmp_path)) as server:
        yield server


async def upgrade(server: FakeServer, initiation: bytes, pieces: bool = False) -> bytes:
    """The first line of the answer to an upgrade with these bytes as initiation."""
    reader, writer = await asyncio.open_connection(*server.door[:2])
    request = upgrade_request(initiation)
    for part in [request[i : i + 1] for i in range(len(request))] if pieces else [request]:
        writer.write(part)
        await asyncio.sleep(0)
    line = await asyncio.wait_for(reader.readline(), 5)
    writer.transport.abort()
    return line


def fresh(server: FakeServer, version: int = 142) -> Initiator:
    return Initiator(os.urandom(32), os.urandom(32), server.door[2], version)


def unauthenticated(server: FakeServer) -> int:
    return len(server.app.plant.core.guard)


class TestInitiation:
    async def test_any_flipped_byte_is_refused_in_the_same_words(self, server: FakeServer) -> None:
        sound = fresh(server).initiation
        for index in range(len(sound)):
            broken = bytearray(sound)
            broken[index] ^= 1 << (index % 8)
            line = await upgrade(server, bytes(broken))
            assert line.startswith(b"HTTP/1.1 400 "), f"byte {index}"
        assert (await upgrade(server, sound)).startswith(b"HTTP/1.1 101 ")

    async def test_a_length_that_is_not_101_is_refused(self, server: FakeServer) -> None:
        sound = fresh(server).initiation
        for length in (1, 5, 50, 100):
            assert (await upgrade(server, sound[:length])).startswith(b"HTTP/1.1 400 ")
        assert (await upgrade(server, sound + b"x")).startswith(b"HTTP/1.1 400 ")

    async def test_byte_by_byte_it_is_still_sound(self, server: FakeServer) -> None:
        assert (await upgrade(server, fresh(server).initiation, pieces=True)).startswith(b"HTTP/1.1 101 ")

    async def test_points_of_low_order_and_other_servers_keys_are_refused(self, server: FakeServer) -> None:
        for point in LOW_ORDER:
            broken = bytearray(fresh(server).initiation)
            broken[5:37] = point
            assert (await upgrade(server, bytes(broken))).startswith(b"HTTP/1.1 400 ")
        foreign = Initiator(os.urandom(32), os.urandom(32), public_of(os.urandom(32)), 142)
        assert (await upgrade(server, foreign.initiation)).startswith(b"HTTP/1.1 400 ")

    async def test_a_replay_opens_a_tunnel_nobody_can_use_and_leaves_nothing(
        self, server: FakeServer
    ) -> None:
        sound = fresh(server).initiation
        for _ in range(3):
            assert (await upgrade(server, sound)).startswith(b"HTTP/1.1 101 ")
        await asyncio.sleep(0.1)
        assert unauthenticated(server) == 0
        assert server.app.plant.control.tunnel_count == 0

    @pytest.mark.parametrize("version", [0, 1, 48, 96])
    async def test_a_version_we_do_not_serve_is_told_the_oldest_we_do(
        self, server: FakeServer, version: int
    ) -> None:
        node = server.node("old", version=version)
        for answer in (
            await node.register(server.auth_key()),
            await (await node.connect()).request("POST", "/machine/map", node.map_request()),
        ):
            assert answer.status == 400 and b"1.68" in answer.body

    async def test_a_version_from_the_future_is_served(self, server: FakeServer) -> None:
        node = await server.joined("new", version=65_535)
        assert node.map.node


class TestRecords:
    async def open(self, server: FakeServer) -> Tunnel:
        return await server.node("odd").connect()

    @pytest.mark.parametrize(
        "data",
        [
            struct.pack(">BH", 4, 4094) + bytes(4094),
            struct.pack(">BH", 4, 65_535) + bytes(65_535),
            struct.pack(">BH", 4, 15) + bytes(15),
            struct.pack(">BH", 4, 100) + bytes(100),
            struct.pack(">BH", 1, 96) + bytes(96),
            struct.pack(">BH", 3, 5) + b"error",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\0" * 10_000,
        ],
        ids=["4097", "65538", "15", "wrong tag", "initiation", "error", "http", "zeros"],
    )
    async def test_what_is_no_record_ends_the_connection(self, server: FakeServer, data: bytes) -> None:
        tunnel = await self.open(server)
        tunnel.send_raw(data)
        await asyncio.wait_for(tunnel.closed.wait(), 2)
        assert server.metrics.value("meshbox_refused_total", "bad_record") == 1

    async def test_a_record_twice_or_out_of_order_ends_the_connection(self, server: FakeServer) -> None:
        tunnel = await self.open(server)
        await tunnel.request("GET", "/machine/whoami")
        ping = tunnel.records.seal(b"\0\0\x08\x06\0\0\0\0\0" + bytes(8))
        tunnel.send_raw(ping + ping)
        await asyncio.wait_for(tunnel.closed.wait(), 2)

    async def test_nothing_behind_a_bad_record_is_obeyed(self, server: FakeServer) -> None:
        node = server.node("odd")
        tunnel = await node.connect()
        request = json.dumps(node.register_request(server.auth_key())).encode()
        sent: list[bytes] = []
        tunnel.send_plain = sent.append  # type: ignore[method-assign]
        tunnel.start("POST", "/machine/register", request)
        sealed = tunnel.records.seal(b"".join(sent))
        tunnel.send_raw(struct.pack(">BH", 4, 32) + bytes(32) + sealed)
        await asyncio.wait_for(tunnel.closed.wait(), 2)
        assert not server.tailnet.nodes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload) << 8 | kind) + struct.pack(">BI", flags, stream) + payload


def opened(stream: int) -> bytes:
    return frame(1, 0x5, stream, b"\x82\x87\x84\x41\x03ctl")


FLOODS: dict[str, Callable[[int], bytes]] = {
    "resets": lambda i: opened(2 * i + 1) + frame(3, 0, 2 * i + 1, struct.pack(">I", 8)),
    "pings": lambda i: frame(6, 0, 0, bytes(8)),
    "settings": lambda i: frame(4, 0, 0, struct.pack(">HI", 4, 65_535 + i % 100)),
    "window updates": lambda i: frame(8, 0, 0, struct.pack(">I", 1)),
    "priorities": lambda i: frame(2, 0, 2 * (i % 1000) + 1, bytes(5)),
    "unknown frames": lambda i: frame(0xBB, 0, 0, b"x"),
    "continuations": lambda i: frame(1, 0, 1, b"\x82") if i == 0 else frame(9, 0, 1, b"\x40\x01a\x01b"),
    "empty data": lambda i: frame(1, 0x4, 1, b"\x83\x87\x84\x41\x03ctl") if i == 0 else frame(0, 0, 1),
    "requests": lambda i: opened(2 * i + 1),
}

FAULTS = {
    "window update of nothing": frame(8, 0, 0, bytes(4)),
    "frames of size 0": frame(4, 0, 0, struct.pack(">HI", 5, 0)),
    "a window of 2^32 - 1": frame(4, 0, 0, struct.pack(">HI", 4, 0xFFFF_FFFF)),
    "a frame of 16 MiB": struct.pack(">I", 0xFFFFFF << 8) + bytes(5),
    "push": frame(5, 4, 1, bytes(4)),
    "data on nothing": frame(0, 1, 1, b"x"),
    "a header bomb": frame(1, 5, 1, b"\x40\x01a\x7f\x80\x1e" + b"b" * 3967 + b"\xbe" * 12_000),
    "a table too large": frame(1, 5, 1, b"\x3f\xff\xff\xff\x7f"),
    "not http/2": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


class TestHttp2:
    async def strange(self, door: tuple[str, int, bytes]) -> Tunnel:
        """A tunnel over which a test speaks HTTP/2 by hand, its greeting already sent."""
        return await Tunnel.open(*door, os.urandom(32))

    @pytest.mark.parametrize("name", FLOODS)
    async def test_a_flood_ends_in_a_goaway_and_one_line_of_log(self, tmp_path: Path, name: str) -> None:
        async with standing(tmp_path) as stand, watched(stand):
            tunnel = await self.strange(stand.door)
            await tunnel.request("GET", "/machine/whoami")
            make = FLOODS[name]
            flood = b"".join(make(i + 1 if name in ("resets", "requests") else i) for i in range(20_000))
            before, memory = stand.cpu(), stand.memory()
            began = time.monotonic()
            try:
                for start in range(0, len(flood), 4000):
                    tunnel.send_plain(flood[start : start + 4000])
                    await tunnel.writer.drain()
            except ConnectionError:
                pass
            await asyncio.wait_for(tunnel.closed.wait(), 5)
            spent = stand.cpu() - before - 0.05 * (time.monotonic() - began)
            print(f"{name}: {spent * 1000:.0f} ms of processor time")
            assert spent < 0.25
            assert stand.memory() - memory < 4 << 20
            await asyncio.sleep(0.2)
            assert len(stand.lines("tunnel_dropped")) == 1, stand.log()[-1500:]
            assert tunnel.goaway is None or tunnel.goaway[0] == ENHANCE_YOUR_CALM

    @pytest.mark.parametrize("name", FAULTS)
    async def test_a_broken_rule_ends_the_connection_or_the_stream(
        self, server: FakeServer, name: str
    ) -> None:
        tunnel = await self.strange(server.door)
        tunnel.send_plain(FAULTS[name])
        await asyncio.wait_for(tunnel.closed.wait(), 3)
        assert sum(
            server.metrics.value("meshbox_refused_total", f"h2_{kind}")
            for kind in ("protocol", "headers", "frames", "unread")
        )

    async def test_the_resets_that_are_too_many_are_told_so(self, server: FakeServer) -> None:
        """Slowly enough that our own last words arrive before the reset of the socket."""
        tunnel = await self.strange(server.door)
        await tunnel.request("GET", "/machine/whoami")
        for number in range(110):
            if tunnel.goaway is not None:
                break
            tunnel.send_plain(FLOODS["resets"](number + 1))
            await asyncio.sleep(0.002)
        await asyncio.wait_for(tunnel.closed.wait(), 3)
        assert tunnel.goaway is not None and tunnel.goaway[0] == ENHANCE_YOUR_CALM
        assert number <= 105

    @pytest.mark.slow
    async def test_a_poll_whose_window_stays_shut_is_dropped_and_costs_little(self, tmp_path: Path) -> None:
        async with standing(tmp_path, limits={"map_stall_timeout": "3s"}) as stand, watched(stand):
            key = await stand.auth_key("--reusable")
            talker = await stand.joined("talker", key)
            deaf = []
            for number in range(20):
                node = stand.node(f"deaf-{number}")
                await node.register(key)
                tunnel = await node.connect()
                shut = struct.pack(">HI", 4, 0)
                tunnel.send_plain(frame(4, 0, 0, shut))
                await tunnel.map_stream(node.map_request(), reading=False)
                deaf.append(node)
            before = stand.memory()
            for port in range(2000, 2100):
                talker.endpoints = [f"203.0.113.9:{port}"]
                await talker.lite()
                await asyncio.sleep(0.02)
            assert stand.memory() - before < 4 << 20
            for node in deaf:
                await asyncio.wait_for(node.tunnel.closed.wait(), 8)
            assert await stand.counter("map_stalled") == len(deaf)
            for node in (talker, *deaf):
                await node.close()
