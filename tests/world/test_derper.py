"""Our relay beside the official one: meshed in one region, and judged by the official probe."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from meshbox.wire.derp import FrameType
from tests.fake.derp import DerpClient
from tests.fake.server import serving, write_config
from tests.world.ports import free_port
from tests.world.process import run
from tests.world.relays import DERPER, Bench, Relay


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    yield found
    found.close()


def mesh(bench: Bench, kinds: str) -> list[Relay]:
    """Relays of one region that know each other: o is ours, d the official one."""
    names = [f"relay{number}.test" for number in range(len(kinds))]
    ports = [free_port() for _ in kinds]
    tuples = [f"{name}:{port}/127.0.0.1" for name, port in zip(names, ports, strict=True)]
    relays = []
    for kind, name, port in zip(kinds, names, ports, strict=True):
        if kind == "d":
            relays.append(bench.derper(name, "-mesh-with", ",".join(tuples), port=port))
        else:
            words = [word for each in tuples for word in ("--mesh-with", each)]
            relays.append(bench.ours(name, *words, port=port))
    return relays


async def until_reached(one: DerpClient, other: DerpClient, within: float = 12.0) -> None:
    """Knock until the other end hears it: meshes come together by themselves."""
    async with asyncio.timeout(within):
        while True:
            one.send(other.public, b"knock")
            try:
                async with asyncio.timeout(0.3):
                    while (await other.next()).kind != FrameType.RECV_PACKET:
                        pass
                    return
            except TimeoutError:
                continue


async def next_of(client: DerpClient, kind: FrameType, within: float = 5.0) -> bytes:
    async with asyncio.timeout(within):
        while True:
            frame = await client.next()
            if frame.kind == kind:
                return frame.body


@pytest.mark.parametrize("kinds", ["oo", "od", "do", "dd", "odo"])
async def test_clients_of_different_relays_of_a_region_reach_each_other(bench: Bench, kinds: str) -> None:
    relays = mesh(bench, kinds)
    ann, bob = [await DerpClient.connect(relay.way) for relay in (relays[0], relays[-1])]
    await until_reached(ann, bob)
    await until_reached(bob, ann)
    packets = [bytes([number]) * 1300 for number in range(20)]
    for packet in packets:
        ann.send(bob.public, packet)
    seen: list[bytes] = []
    while len(seen) < len(packets):
        body = await next_of(bob, FrameType.RECV_PACKET)
        if body[32:] != b"knock":
            assert body[:32] == ann.public
            seen.append(body[32:])
    assert seen == packets
    ann.close()
    assert await next_of(bob, FrameType.PEER_GONE) == ann.public + b"\x00"
    bob.disco(ann.public)
    assert await next_of(bob, FrameType.PEER_GONE) == ann.public + b"\x01"
    bob.close()


async def test_a_relay_that_comes_back_is_meshed_again(bench: Bench) -> None:
    ours, official = mesh(bench, "od")
    bob = await DerpClient.connect(official.way)
    ann = await DerpClient.connect(ours.way)
    await until_reached(ann, bob)
    await until_reached(bob, ann)
    ours.daemon.stop()
    assert await next_of(bob, FrameType.PEER_GONE) == ann.public + b"\x00"
    ours.start_again()
    for _ in range(100):
        try:
            again = await DerpClient.connect(ours.way, ann.key)
            break
        except OSError:
            await asyncio.sleep(0.05)
    await until_reached(again, bob)
    await until_reached(bob, again)
    again.close()
    bob.close()


@pytest.mark.parametrize("kinds", ["o", "oo", "od", "do"])
def test_derpprobe_finds_nothing_wrong(bench: Bench, kinds: str) -> None:
    """TLS, STUN over both families, each pair of nodes, bandwidth with packets of 64 KiB."""
    relays = mesh(bench, kinds)
    wait_for_mesh(relays)
    derp_map = bench.write_map(relays)
    argv = [
        str(DERPER / "derpprobe"), "-once", "-derp-map", f"file://{derp_map}", "-bw-interval", "5s",
    ]  # fmt: skip
    told = bench.tool(*argv, timeout=90)
    assert told.code == 0 and "bad:" not in told.text, told.text
    assert "good:" in told.text


async def test_the_official_relay_asks_our_server_whom_to_admit(bench: Bench, tmp_path: Path) -> None:
    known, stranger = PrivateKey(os.urandom(32)), PrivateKey(os.urandom(32))
    (tmp_path / "control").mkdir()
    async with serving(write_config(tmp_path / "control")) as server:
        url = f"http://127.0.0.1:{server.door[1]}/verify"
        asking = bench.derper("asking.test", "-verify-client-url", url, "-verify-client-url-fail-open=false")
        node = server.node("laptop")
        node.node_key = "nodekey:" + bytes(known.public_key).hex()
        await node.register(server.auth_key())
        client = await DerpClient.connect(asking.way, known)
        assert await client.is_alive()
        with pytest.raises(EOFError):
            await DerpClient.connect(asking.way, stranger)
        client.close()


async def test_our_relay_asks_our_server_in_the_same_words(bench: Bench, tmp_path: Path) -> None:
    known, stranger = PrivateKey(os.urandom(32)), PrivateKey(os.urandom(32))
    (tmp_path / "control").mkdir()
    async with serving(write_config(tmp_path / "control")) as server:
        url = f"http://127.0.0.1:{server.door[1]}/verify"
        loop = asyncio.get_running_loop()
        asking = await loop.run_in_executor(None, lambda: bench.ours("asking.test", "--admit", url))
        node = server.node("laptop")
        node.node_key = "nodekey:" + bytes(known.public_key).hex()
        await node.register(server.auth_key())
        client = await DerpClient.connect(asking.way, known)
        assert await client.is_alive()
        with pytest.raises(EOFError):
            await DerpClient.connect(asking.way, stranger)
        client.close()


def wait_for_mesh(relays: list[Relay]) -> None:
    """Relays that started first look for the others every five seconds."""

    async def knock() -> None:
        clients = [await DerpClient.connect(relay.way) for relay in relays]
        for one in clients:
            for other in clients:
                if one is not other:
                    await until_reached(one, other)
        for client in clients:
            client.close()

    asyncio.run(knock())


def test_stunc_learns_its_address(bench: Bench) -> None:
    relay = bench.ours("stun.test")
    told = run([str(DERPER / "stunc"), "127.0.0.1", str(relay.stun_port)], timeout=10)
    assert "127.0.0.1:" in told.text
