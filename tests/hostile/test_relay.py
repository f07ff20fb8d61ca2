"""The relay against strangers, clones and floods: cases 35 to 40 of the list of hostile inputs."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import time
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from meshbox.relay.queue import DEPTH
from meshbox.relay.twins import CLONE_WARNING
from meshbox.serve.derp import DerpLimits
from meshbox.serve.stun import RATE, StunServer
from meshbox.tailnet import devices
from meshbox.wire import stun
from meshbox.wire.derp import FrameType, encode
from tests.fake.derp import DerpClient, Way
from tests.fake.server import FakeServer, serving, write_config
from tests.serve.relayhouse import RelayHouse

PING = encode(FrameType.PING, b"12345678")


def new_key() -> PrivateKey:
    return PrivateKey(os.urandom(32))


async def member(server: FakeServer, hostname: str) -> tuple[int, PrivateKey]:
    """A node of the tailnet with a real node key: its id and the key."""
    key = new_key()
    node = server.node(hostname)
    node.node_key = "nodekey:" + bytes(key.public_key).hex()
    answer = await node.register(server.auth_key())
    assert answer.json["MachineAuthorized"]
    return server.tailnet.by_node_key[bytes(key.public_key)], key


async def round_trip(ann: DerpClient, bob: DerpClient) -> float:
    """Seconds a packet takes."""
    started = time.perf_counter()
    ann.send(bob.public, b"are you there?")
    assert await asyncio.wait_for(bob.packet(), 5) == (ann.public, b"are you there?")
    return time.perf_counter() - started


# Case 35


async def test_only_live_nodes_get_in_and_who_stops_being_one_is_out_within_a_second(tmp_path: Path) -> None:
    relay = {"server": {"enabled": True, "listen_addr": "", "stun_listen_addr": "127.0.0.1:0"}}
    async with serving(write_config(tmp_path, derp=relay)) as server:
        way = Way(server.door[1])
        with pytest.raises(EOFError):
            await DerpClient.connect(way, new_key())
        deleted_id, deleted = await member(server, "deleted")
        expired_id, expired = await member(server, "expired")
        _, healthy = await member(server, "healthy")
        clients = [await DerpClient.connect(way, key) for key in (deleted, expired, healthy)]
        now = time.time()
        devices.delete(server.tailnet, deleted_id, "test", now)
        devices.expire(server.tailnet, expired_id, now, "test", now)
        for client in clients[:2]:
            await asyncio.wait_for(client.wait_closed(), 1)
        for key in (deleted, expired):
            with pytest.raises(EOFError):
                await DerpClient.connect(way, key)
        assert await clients[2].is_alive()
        clients[2].close()


# Case 36


@pytest.mark.parametrize(
    "frames",
    [
        struct.pack(">BI", FrameType.SEND_PACKET, 0xFFFFFFFF),
        struct.pack(">BI", FrameType.SEND_PACKET, 0),
        encode(FrameType.SEND_PACKET, bytes(31)),
        encode(FrameType.WATCH_CONNS),
        encode(FrameType.CLOSE_PEER, bytes(32)),
        encode(FrameType.FORWARD_PACKET, bytes(64), b"packet"),
    ],
)
async def test_what_no_client_may_send_ends_its_connection_and_no_other(frames: bytes) -> None:
    async with RelayHouse() as house:
        ann, bob, bad = [await house.client() for _ in range(3)]
        bad.writer.write(frames)
        await asyncio.wait_for(bad.wait_closed(), 1)
        assert house.derp.counters.malformed == 1
        assert await round_trip(ann, bob) < 1


async def test_an_unknown_frame_of_a_gibibyte_costs_no_memory() -> None:
    async with RelayHouse(limits=DerpLimits(0)) as house:
        bad = await house.client()
        bad.writer.write(struct.pack(">BI", 0x66, 1 << 30))
        before = _resident()
        for _ in range(64):
            bad.writer.write(bytes(1 << 20))
            await bad.writer.drain()
        assert _resident() - before < 16 << 20
        assert house.derp.switch.connections == 1
        assert house.derp.switch.counters.unknown_frames == 1


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


# Case 37


async def test_a_slow_receiver_costs_its_queue_and_the_sender_nothing() -> None:
    async with RelayHouse(limits=DerpLimits(0)) as house:
        ann, bob, slow = [await house.client() for _ in range(3)]
        slow.writer.transport.pause_reading()
        target = house.derp.switch.active[slow.public]
        for _ in range(20):
            for _ in range(20):
                ann.send(slow.public, bytes(65_536))
            assert await round_trip(ann, bob) < 1
        assert house.derp.switch.counters.dropped["queue_head", "other"].packets > 0
        assert target.outbox.packets <= DEPTH
        assert target.outbox.data.size <= DEPTH * (65_536 + 37)


# Case 38


async def test_of_clones_the_last_to_speak_gets_the_packets_and_all_are_told() -> None:
    async with RelayHouse() as house:
        ann, key = await house.client(), new_key()
        clones = [await house.client(key), await house.client(key)]
        told = [0, 0]
        for turn in range(20):
            speaker = clones[turn % 2]
            speaker.writer.write(PING)
            while (await speaker.next()).kind != FrameType.PONG:
                told[turn % 2] += 1
            ann.send(speaker.public, b"%d" % turn)
            while (frame := await speaker.next()).kind != FrameType.RECV_PACKET:
                assert frame.body == CLONE_WARNING.encode()
                told[turn % 2] += 1
            assert frame.body == ann.public + b"%d" % turn
        assert told == [1, 1]
        assert house.derp.switch.counters.clone_warnings == 1


# Case 39


async def test_a_flood_of_pings_is_read_at_its_rate_and_answered_with_few() -> None:
    async with RelayHouse(limits=DerpLimits(1_000_000)) as house:
        ann, bob, bad = [await house.client() for _ in range(3)]

        async def flood() -> None:
            while True:
                bad.writer.write(PING * 5000)
                await bad.writer.drain()

        flooding = asyncio.create_task(flood())
        started = time.perf_counter()
        waits = []
        for _ in range(20):
            await asyncio.sleep(0.05)
            waits.append(await round_trip(ann, bob))
        taken = time.perf_counter() - started
        flooding.cancel()
        counters = house.derp.switch.counters
        assert sorted(waits)[10] < 0.1
        assert counters.got_ping < 2 * 1_000_000 / (13 + 128) * (taken + 1)
        assert counters.sent_pong < counters.got_ping / 10


async def test_asking_for_nobody_is_answered_three_times_and_then_once_a_second() -> None:
    async with RelayHouse() as house:
        bad = await house.client()
        started = time.perf_counter()
        for _ in range(2000):
            bad.disco(os.urandom(32))
        assert await bad.is_alive()
        allowed = 3 + (time.perf_counter() - started)
        assert 3 <= house.derp.switch.counters.peer_gone_not_here_frames <= allowed


async def test_a_key_that_flaps_disturbs_nobody_and_leaves_nothing() -> None:
    async with RelayHouse() as house:
        ann, bob, key = await house.client(), await house.client(), new_key()
        waits = []
        for turn in range(100):
            flapping = await DerpClient.connect(Way(house.way.port, fast=True), key)
            flapping.send(bob.public, b"hi")
            await bob.packet()
            flapping.close()
            assert (await bob.next()).body == flapping.public + b"\x00"
            if turn % 10 == 0:
                waits.append(await round_trip(ann, bob))
        assert max(waits) < 1
        assert house.derp.switch.connections == 2
        assert len(house.derp._keep_alives) == 2
        assert len(house.derp._shaking) == 0
        assert len(house.guard) == 0


# Case 40


async def test_a_flood_of_stun_garbage_gets_silence_and_delays_no_packet() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        asked.bind(("127.0.0.1", 0))
        address = asked.getsockname()
        server = StunServer([asked])
        async with RelayHouse() as house:
            ann, bob = await house.client(), await house.client()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flooder:
                flooder.setblocking(False)
                waits = []
                for _ in range(40):
                    for _ in range(250):
                        flooder.sendto(os.urandom(40), address)
                    waits.append(await round_trip(ann, bob))
                assert server.counters.not_stun > 1000
                assert server.counters.success == 0
                with pytest.raises(BlockingIOError):
                    flooder.recv(100)
                assert sorted(waits)[20] < 0.1
                await _answers_are_few(flooder, address)
        server.close()


async def _answers_are_few(flooder: socket.socket, address: tuple[str, int]) -> None:
    """Well-formed requests in a forged name: what comes back is less than what was sent."""
    request = stun.build_request(bytes(12))
    sent = 4 * RATE
    for _ in range(sent):
        flooder.sendto(request, address)
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    answered = 0
    while True:
        try:
            answered += len(flooder.recv(100))
        except BlockingIOError:
            break
    assert 0 < answered < sent * len(request) / 1.5
