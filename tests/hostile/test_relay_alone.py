"""A relay of its own process under abuse: strangers, garbage, floods; the admitted hardly notice."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from nacl.public import PrivateKey

from meshbox.relay.roster import Push
from meshbox.wire import stun
from tests.fake.derp import REQUEST, DerpClient, Way
from tests.serve.derpdaemon import EPOCH, listens
from tests.serve.test_relayd_restart import ROOT
from tests.serve.tlsends import client_context
from tests.world.ports import free_port

STRANGERS = 5_000
PATIENCE = 3.0
"""Seconds within which an admitted packet gets through, on a machine that does other things as well."""


class Alone:
    def __init__(self, home: Path) -> None:
        self.port, self.stun_port = free_port(), free_port()
        self.socket = home / "derp.sock"
        self.way = Way(self.port, tls=client_context())
        argv = [
            sys.executable, "-m", "meshbox.cli.main", "derp", "--listen", f"127.0.0.1:{self.port}",
            "--stun", f"127.0.0.1:{self.stun_port}", "--state-dir", str(home), "--socket", str(self.socket),
        ]  # fmt: skip
        self.process = subprocess.Popen(argv, cwd=ROOT)
        for _ in range(400):
            if listens(self.socket):
                break
            time.sleep(0.05)

    def descriptors(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def memory(self) -> int:
        """KiB."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * 4

    def cpu(self) -> float:
        stat = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    async def pair(self) -> tuple[DerpClient, DerpClient]:
        """Two admitted clients."""
        keys = [PrivateKey(os.urandom(32)) for _ in range(2)]
        push = Push(EPOCH, None, 1, {bytes(key.public_key): 0.0 for key in keys})
        connector = aiohttp.UnixConnector(str(self.socket))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post("http://relay/admission", data=push.encode()) as answer,
        ):
            assert answer.status == 200
        ann, bob = [await DerpClient.connect(self.way, key) for key in keys]
        return ann, bob


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    relay = Alone(tmp_path)
    yield relay
    relay.process.terminate()
    assert relay.process.wait(10) == 0


async def passes(ann: DerpClient, bob: DerpClient) -> None:
    text = os.urandom(200)
    ann.send(bob.public, text)
    assert (await asyncio.wait_for(bob.packet(), PATIENCE))[1] == text


@pytest.mark.slow
async def test_five_thousand_silent_strangers(alone: Alone) -> None:
    ann, bob = await alone.pair()
    before, memory = alone.descriptors(), alone.memory()
    silent: list[socket.socket] = []
    try:
        for number in range(STRANGERS):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", alone.port))
            silent.append(sock)
            if number % 500 == 0:
                await asyncio.sleep(0)
                await passes(ann, bob)
        await asyncio.sleep(12)
        await passes(ann, bob)
        assert alone.descriptors() - before <= 64
        assert alone.memory() - memory < 40_000
    finally:
        for sock in silent:
            sock.close()


async def test_garbage_instead_of_tls_http_and_hellos(alone: Alone) -> None:
    ann, bob = await alone.pair()
    chance = random.Random(35)
    before = alone.descriptors()
    for number in range(60):
        _, plain = await asyncio.open_connection("127.0.0.1", alone.port)
        plain.write(chance.randbytes(chance.randrange(1, 4000)))
        plain.close()
        _, inside = await asyncio.open_connection("127.0.0.1", alone.port, ssl=client_context())
        start = REQUEST.encode() + b"\r\n" if number % 2 else b""
        inside.write(start + chance.randbytes(chance.randrange(1, 4000)))
        await inside.drain()
        inside.transport.abort()
    await passes(ann, bob)
    for _ in range(100):
        if alone.descriptors() <= before:
            break
        await asyncio.sleep(0.1)
    assert alone.descriptors() <= before
    ann.close()
    bob.close()


async def test_a_flood_of_stun_gets_few_answers_and_packets_go_on(alone: Alone) -> None:
    ann, bob = await alone.pair()
    chance = random.Random(40)
    asker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asker.setblocking(False)
    asker.connect(("127.0.0.1", alone.stun_port))
    request, answers, sent, began = stun.build_request(os.urandom(12)), 0, 0, time.monotonic()
    while time.monotonic() - began < 3:
        for number in range(200):
            try:
                asker.send(request if number % 2 else chance.randbytes(chance.randrange(1, 80)))
                sent += 1
            except BlockingIOError:
                break
        while True:
            try:
                asker.recv(200)
                answers += 1
            except BlockingIOError:
                break
        await passes(ann, bob)
    asker.close()
    assert sent > 1_000
    assert 0 < answers <= 50 * 5, "fifty a second, in as many seconds as were begun"
    ann.close()
    bob.close()


async def test_one_client_that_floods_leaves_the_others_their_share(alone: Alone) -> None:
    """Over its rate it is read more slowly, and nothing of anybody else is dropped."""
    ann, bob = await alone.pair()
    flood = b"".join(b"\x04" + (1332).to_bytes(4, "big") + bytes(32) + bytes(1300) for _ in range(500))
    loop = asyncio.get_running_loop()
    until, spent = loop.time() + 4, alone.cpu()
    sent = 0

    async def pour() -> None:
        nonlocal sent
        while loop.time() < until:
            ann.writer.write(flood)
            await ann.writer.drain()
            sent += len(flood)

    pouring = asyncio.create_task(pour())
    while loop.time() < until:
        text = os.urandom(8)
        bob.send(bob.public, text)
        assert (await asyncio.wait_for(bob.packet(), PATIENCE))[1] == text
        await asyncio.sleep(0.05)
    await asyncio.wait_for(pouring, 15)
    assert sent < 4 * 2 * 64 * 1024 * 1024, "64 MiB a second, and what the kernels hold"
    assert alone.cpu() - spent < 3.0
    ann.close()
    bob.close()
