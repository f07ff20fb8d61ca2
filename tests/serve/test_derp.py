from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from nacl.public import PrivateKey

from meshbox.serve import derp as derp_module
from meshbox.serve import derplink
from meshbox.serve.derp import DerpLimits
from meshbox.wire.derp import FrameType, encode
from tests.fake.derp import REQUEST, DerpClient, Way
from tests.serve.relayhouse import RelayHouse
from tests.serve.tlsends import until

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def runner(scenario: Callable[[], Awaitable[None]]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(asyncio.wait_for(scenario(), 15))

    return runner


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("fast", [False, True])
def test_two_clients_reach_each_other(run: Run, is_tls: bool, fast: bool) -> None:
    async def scenario() -> None:
        async with RelayHouse(is_tls=is_tls) as house:
            ann, bob = await house.client(fast=fast), await house.client(fast=fast)
            assert ann.info == {"version": 2}
            assert ann.server_key == house.derp.identity.public
            sent = [os.urandom(size) for size in (0, 1, 1300, 65_536, 20_000)]
            for packet in sent:
                ann.send(bob.public, packet)
            assert [await bob.packet() for _ in sent] == [(ann.public, packet) for packet in sent]
            bob.send(ann.public, b"back")
            assert await ann.packet() == (bob.public, b"back")
            assert len(house.guard) == 0

    run(scenario)


def test_everything_at_once_before_any_answer(run: Run) -> None:
    """Fast start puts the request, the hello and the first packets into one segment."""

    async def scenario() -> None:
        async with RelayHouse() as house:
            bob = await house.client()
            ann = await DerpClient.knock(house.way, PrivateKey(os.urandom(32)))
            _, writer = await house.raw(
                (REQUEST + "Derp-Fast-Start: 1\r\n\r\n").encode()
                + ann.hello()
                + encode(FrameType.SEND_PACKET, bob.public, b"first")
                + encode(FrameType.SEND_PACKET, bob.public, b"second")[:20]
            )
            assert await bob.packet() == (ann.public, b"first")
            writer.write(encode(FrameType.SEND_PACKET, bob.public, b"second")[20:])
            assert await bob.packet() == (ann.public, b"second")
            ann.close()
            writer.close()

    run(scenario)


def test_the_normal_answer_has_what_clients_and_tools_look_for(run: Run) -> None:
    async def scenario() -> None:
        async with RelayHouse() as house:
            reader, writer = await house.raw((REQUEST + "\r\n").encode())
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            assert head.startswith("HTTP/1.1 101 ")
            assert "\r\nUpgrade: DERP\r\n" in head
            assert "\r\nConnection: Upgrade\r\n" in head
            assert "\r\nDerp-Version: 2\r\n" in head
            assert f"\r\nDerp-Public-Key: {house.derp.identity.public.hex()}\r\n" in head
            writer.close()

    run(scenario)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ("", b"426"),
        ("Upgrade: h2c\r\n", b"426"),
        ("Upgrade: websocket\r\nSec-WebSocket-Protocol: derp\r\n", b"400"),
        ("Upgrade: WebSocket\r\n", b"101"),
        ("Upgrade: derp\r\n", b"101"),
    ],
)
async def test_upgrades_we_know_and_others(headers: str, status: bytes) -> None:
    async with RelayHouse() as house:
        reader, writer = await house.raw(f"GET /derp HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1] == status
        if status != b"101":
            await asyncio.wait_for(reader.read(), 1)
        writer.close()


async def test_a_post_is_no_upgrade() -> None:
    async with RelayHouse() as house:
        reader, writer = await house.raw(b"POST /derp HTTP/1.1\r\nHost: x\r\nUpgrade: DERP\r\n\r\n")
        assert b" 426 " in await reader.read()
        writer.close()


def test_strangers_see_nothing_but_the_key(run: Run) -> None:
    async def scenario() -> None:
        known = PrivateKey(os.urandom(32))
        async with RelayHouse(admit=lambda key: key == bytes(known.public_key)) as house:
            await house.client(known)
            with pytest.raises(EOFError):
                await house.client()
            assert house.derp.counters.refused == 1
            assert house.derp.switch.connections == 1

    run(scenario)


async def test_if_admission_fails_the_answer_is_no() -> None:
    def broken(key: bytes) -> bool:
        raise RuntimeError("no database")

    async with RelayHouse(admit=broken) as house:
        with pytest.raises(EOFError):
            await house.client()


def test_a_node_that_loses_the_right_is_cut_at_once(run: Run) -> None:
    async def scenario() -> None:
        banned: set[bytes] = set()
        async with RelayHouse(admit=lambda key: key not in banned) as house:
            key = PrivateKey(os.urandom(32))
            ann, twin, bob = await house.client(key), await house.client(key), await house.client()
            ann.send(bob.public, b"hi")
            await bob.packet()
            assert house.derp.cut(ann.public) == 2
            assert house.derp.cut(os.urandom(32)) == 0
            await asyncio.wait_for(ann.wait_closed(), 1)
            await asyncio.wait_for(twin.wait_closed(), 1)
            assert (await bob.next()).body == ann.public + b"\x00"
            assert house.derp.recheck() == 0
            banned.add(bob.public)
            assert house.derp.recheck() == 1
            await asyncio.wait_for(bob.wait_closed(), 1)

    run(scenario)


@pytest.mark.parametrize("is_tls", [False, True])
def test_who_hangs_up_is_gone_for_its_peers(run: Run, is_tls: bool) -> None:
    async def scenario() -> None:
        async with RelayHouse(is_tls=is_tls) as house:
            ann, bob = await house.client(), await house.client()
            ann.send(bob.public, b"hi")
            await bob.packet()
            ann.writer.close()
            assert (await bob.next()).body == ann.public + b"\x00"
            bob.disco(ann.public)
            assert (await bob.next()).body == ann.public + b"\x01"

    run(scenario)


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_frozen_receiver_is_cut_and_disturbs_nobody(
    run: Run, is_tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derplink, "STALL", 0.5)

    async def scenario() -> None:
        async with RelayHouse(is_tls=is_tls, limits=DerpLimits(0)) as house:
            ann, bob, frozen = [await house.client() for _ in range(3)]
            frozen.writer.transport.pause_reading()
            loop = asyncio.get_running_loop()
            sent, start, slowest = 0, loop.time(), 0.0
            while house.derp.switch.connections == 3 and loop.time() < start + 10:
                for _ in range(20):
                    ann.send(frozen.public, bytes(20_000))
                ann.send(bob.public, b"%d" % sent)
                asked = loop.time()
                assert await bob.packet() == (ann.public, b"%d" % sent)
                slowest = max(slowest, loop.time() - asked)
                sent += 1
            assert house.derp.counters.sclient_write_timeouts == 1
            assert house.derp.switch.counters.dropped["queue_head", "other"].packets > 0
            assert slowest < 1.0
            assert sent > 20

    run(scenario)


def test_a_slow_receiver_that_moves_is_not_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes so little that our own buffer stands still for long; only the kernel's shrinks."""
    monkeypatch.setattr(derplink, "STALL", 0.5)
    monkeypatch.setattr(derp_module, "BEAT", 0.1)

    async def scenario() -> None:
        async with RelayHouse(limits=DerpLimits(0)) as house:
            ann, slow = await house.client(), await house.client()
            slow.writer.transport.pause_reading()
            sock = slow.writer.get_extra_info("socket")
            loop = asyncio.get_running_loop()
            end = loop.time() + 1.5
            while loop.time() < end:
                for _ in range(30):
                    ann.send(slow.public, bytes(20_000))
                await ann.writer.drain()
                await asyncio.sleep(0.05)
                _read_some(sock.fileno(), 20_000)
            assert house.derp.counters.sclient_write_timeouts == 0
            assert house.derp.switch.connections == 2

    run(scenario)


def _read_some(descriptor: int, count: int) -> None:
    left = count
    while left > 0:
        try:
            left -= len(os.read(descriptor, left))
        except BlockingIOError:
            return


def test_a_silent_guest_is_shown_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derp_module, "HANDSHAKE_DEADLINE", 0.1)

    async def scenario() -> None:
        async with RelayHouse() as house:
            silent = await DerpClient.knock(house.way, PrivateKey(os.urandom(32)))
            silent.writer.write(silent.hello()[:-1])
            await asyncio.wait_for(silent.wait_closed(), 3)
            assert house.derp.counters.handshake_timeouts == 1
            ann = await house.client()
            await asyncio.sleep(0.8)
            assert await ann.is_alive()

    run(scenario)


def test_keep_alives_come_without_being_asked_for(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derp_module, "KEEP_ALIVE", 1.0)
    monkeypatch.setattr(derp_module, "KEEP_ALIVE_JITTER", 0.1)

    async def scenario() -> None:
        async with RelayHouse(is_tls=True) as house:
            ann = await house.client()
            for _ in range(2):
                assert (await asyncio.wait_for(ann.next(), 4)).kind == FrameType.KEEP_ALIVE

    run(scenario)


@pytest.mark.parametrize("is_tls", [False, True])
def test_over_its_rate_a_client_is_slowed_and_loses_nothing(run: Run, is_tls: bool) -> None:
    async def scenario() -> None:
        async with RelayHouse(is_tls=is_tls, limits=DerpLimits(1_000_000)) as house:
            ann, bob = await house.client(), await house.client()
            loop = asyncio.get_running_loop()
            start = loop.time()
            for number in range(1000):
                ann.send(bob.public, number.to_bytes(2, "big") + bytes(998))
            for number in range(1000):
                assert (await bob.packet())[1][:2] == number.to_bytes(2, "big")
            taken = loop.time() - start
            assert 0.6 < taken < 3.0
            assert house.derp.switch.counters.rate_limited > 0

    run(scenario)


def test_the_end_of_the_server_is_the_end_of_its_connections(run: Run) -> None:
    async def scenario() -> None:
        async with RelayHouse() as house:
            ann = await house.client()
            shaking = await DerpClient.knock(house.way, PrivateKey(os.urandom(32)))
            house.derp.close()
            await asyncio.wait_for(ann.wait_closed(), 1)
            await asyncio.wait_for(shaking.wait_closed(), 1)
            await until(lambda: house.derp.switch.connections == 0)

    run(scenario)


async def test_every_byte_of_the_handshake_matters() -> None:
    """Flip each byte from the frame's type on: the client is not let in, and the relay goes on."""
    async with RelayHouse() as house:
        key = PrivateKey(os.urandom(32))
        length = len((await DerpClient.knock(house.way, key)).hello())
        for at in range(length):
            client = await DerpClient.knock(Way(house.way.port, fast=True), key)
            damaged = bytearray(client.hello())
            damaged[at] ^= 1
            client.writer.write(bytes(damaged))
            if 1 <= at <= 4:  # a longer length waits for more, which is garbage then
                client.writer.write(bytes(20_000))
            await asyncio.wait_for(client.wait_closed(), 2)
            client.close()
        assert house.derp.switch.counters.accepts == 0
        assert house.derp.counters.malformed == length
        assert await (await house.client(key)).is_alive()
