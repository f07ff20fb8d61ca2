"""A relay whose sockets somebody else holds: a restart refuses nobody and clients are back at once."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nacl.public import PrivateKey

from meshbox.wire import stun
from tests.fake.derp import DerpClient, Way
from tests.serve.tlsends import client_context
from tests.world.ports import free_port

ROOT = Path(__file__).parents[2]


class Managed:
    """A relay under the hand of tests.fake.manager."""

    def __init__(self, home: Path, *around: str) -> None:
        self.port, self.stun_port = free_port(), free_port()
        self.way = Way(self.port, tls=client_context())
        sockets = (
            f"derp=tcp:127.0.0.1:{self.port}", f"stun=udp:127.0.0.1:{self.stun_port}",
            f"derp-control=unix:{home}/derp.sock",
        )  # fmt: skip
        relay = ("-m", "meshbox.cli.main", "derp", "--admit", "all", "--yes", "--state-dir", str(home))
        argv = [sys.executable, "-m", "tests.fake.manager", *sockets, "--", *around, sys.executable, *relay]
        self.process = subprocess.Popen(argv, cwd=ROOT)

    def restart(self) -> None:
        self.process.send_signal(signal.SIGHUP)

    def close(self) -> None:
        self.process.terminate()
        assert self.process.wait(10) == 0


@pytest.fixture
def managed(tmp_path: Path) -> Iterator[Managed]:
    relay = Managed(tmp_path)
    yield relay
    relay.close()


async def come_back(way: Way, key: PrivateKey) -> tuple[DerpClient, int]:
    """Connect as often as it takes; (client, times that nobody listened)."""
    refused = 0
    while True:
        try:
            return await DerpClient.connect(way, key), refused
        except ConnectionRefusedError:
            refused += 1
        except (OSError, EOFError):
            pass
        await asyncio.sleep(0.02)


async def test_a_restart_refuses_nobody_and_loses_no_identity(managed: Managed) -> None:
    keys = [PrivateKey(os.urandom(32)) for _ in range(50)]
    first = [client for client, _ in await asyncio.gather(*(come_back(managed.way, key) for key in keys))]
    began = time.monotonic()
    managed.restart()
    for client in first:
        await asyncio.wait_for(client.wait_closed(), 5)
    back = await asyncio.wait_for(asyncio.gather(*(come_back(managed.way, key) for key in keys)), 15)
    print(f"50 clients back {time.monotonic() - began:.2f} s after the signal")
    assert sum(refused for _, refused in back) == 0
    clients = [client for client, _ in back]
    assert clients[0].server_key == first[0].server_key
    clients[0].send(clients[1].public, b"as before")
    assert (await clients[1].packet())[1] == b"as before"
    for client in (*first, *clients):
        client.close()


async def test_stun_answers_on_an_inherited_socket(managed: Managed) -> None:
    client, _ = await come_back(managed.way, PrivateKey(os.urandom(32)))
    client.close()
    transaction = os.urandom(12)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setblocking(False)
        asker.connect(("127.0.0.1", managed.stun_port))
        asker.send(stun.build_request(transaction))
        answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(asker, 100), 5)
    assert answer[8:20] == transaction


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="taking a process's network away needs root")
async def test_with_a_socket_for_everything_it_needs_no_network_of_its_own(tmp_path: Path) -> None:
    relay = Managed(tmp_path, "unshare", "--net")
    try:
        keys = [PrivateKey(os.urandom(32)) for _ in range(2)]
        ann, bob = [(await come_back(relay.way, key))[0] for key in keys]
        ann.send(bob.public, b"without a network")
        assert await bob.packet() == (ann.public, b"without a network")
        ann.close()
        bob.close()
    finally:
        relay.close()
