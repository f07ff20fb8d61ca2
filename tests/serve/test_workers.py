"""A relay of several processes, as one to everybody outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nacl.public import PrivateKey

from meshbox.relay.roster import Push
from tests.fake.derp import DerpClient, Way
from tests.serve.derpdaemon import EPOCH, closes, listens
from tests.serve.test_relayd_restart import ROOT, come_back
from tests.serve.tlsends import client_context
from tests.world.ports import free_port

WORKERS = 3


class Team:
    def __init__(self, home: Path, *more: str) -> None:
        self.port = free_port()
        self.socket = home / "derp.sock"
        self.way = Way(self.port, tls=client_context())
        argv = [
            sys.executable, "-m", "meshbox.cli.main", "derp",
            "--listen", f"127.0.0.1:{self.port}", "--stun", "off",
            "--workers", str(WORKERS), "--state-dir", str(home), "--socket", str(self.socket), *more,
        ]  # fmt: skip
        self.process = subprocess.Popen(argv, cwd=ROOT)
        for _ in range(400):
            if listens(self.socket):
                break
            time.sleep(0.05)

    async def ask(self, path: str) -> Any:
        async with self.session() as session, session.get(f"http://relay{path}") as answer:
            return json.loads(await answer.text()) if path != "/metrics" else await answer.text()

    async def push(self, push: Push) -> int:
        url = "http://relay/admission"
        async with self.session() as session, session.post(url, data=push.encode()) as told:
            return told.status

    def session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket)))

    def processes(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]


@pytest.fixture
def team(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Team]:
    found = Team(tmp_path, *getattr(request, "param", ("--admit", "all")))
    yield found
    found.process.terminate()
    found.process.wait(10)


async def connect(team: Team, count: int) -> list[DerpClient]:
    keys = [PrivateKey(os.urandom(32)) for _ in range(count)]
    return [client for client, _ in await asyncio.gather(*(come_back(team.way, key) for key in keys))]


async def test_everybody_reaches_everybody_and_the_reports_add_up(team: Team) -> None:
    clients = await connect(team, 24)
    assert len({client.server_key for client in clients}) == 1
    for one in clients:
        for other in clients:
            one.send(other.public, one.public[:8] + b"hello")
    for client in clients:
        seen = [await asyncio.wait_for(client.packet(), 5) for _ in clients]
        assert sorted(seen) == sorted((one.public, one.public[:8] + b"hello") for one in clients)
    status = await team.ask("/status")
    assert (status["clients"], status["workers"]) == (24, WORKERS)
    assert status["packetsReceived"] == status["packetsSent"] == 24 * 24
    assert {client["nodeKey"] for client in await team.ask("/clients")} == {
        f"nodekey:{client.public.hex()}" for client in clients
    }
    metrics = await team.ask("/metrics")
    assert f"\nderp_packets_received {24 * 24}\n" in metrics
    assert "\nderp_current_connections 24\n" in metrics
    for client in clients:
        client.close()


async def test_large_packets_keep_their_order_across_workers(team: Team) -> None:
    clients = await connect(team, 6)
    packets = [bytes([number]) * 60_000 for number in range(25)]
    for receiver in clients[1:]:
        for packet in packets:
            clients[0].send(receiver.public, packet)
        assert [(await asyncio.wait_for(receiver.packet(), 5))[1] for _ in packets] == packets
    for client in clients:
        client.close()


@pytest.mark.parametrize("team", [()], indirect=True)
async def test_a_push_reaches_all_workers_and_a_cut_too(team: Team) -> None:
    keys = [PrivateKey(os.urandom(32)) for _ in range(12)]
    await asyncio.sleep(0.5)
    assert await team.push(Push(EPOCH, None, 1, {bytes(key.public_key): 0.0 for key in keys})) == 200
    await asyncio.sleep(0.2)
    clients = [await DerpClient.connect(team.way, key) for key in keys]
    assert await team.push(Push(EPOCH, 1, 2, {}, tuple(bytes(key.public_key) for key in keys[:6]))) == 200
    assert all(await asyncio.gather(*(closes(client, 1.0) for client in clients[:6])))
    assert all(await asyncio.gather(*(client.is_alive() for client in clients[6:])))
    with pytest.raises(EOFError):
        await DerpClient.connect(team.way, keys[0])
    for client in clients:
        client.close()


async def test_they_end_together(team: Team) -> None:
    children = team.processes()
    assert len(children) == WORKERS - 1
    os.kill(children[0], signal.SIGKILL)
    assert await asyncio.get_running_loop().run_in_executor(None, team.process.wait, 5) == 1
    assert not _alive(children)


async def test_a_killed_first_worker_takes_the_others_along(team: Team) -> None:
    children = team.processes()
    team.process.kill()
    for _ in range(100):
        if not _alive(children):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("a worker outlived the first")


def _alive(pids: list[int]) -> list[int]:
    """Those that run; what ended and was collected by nobody yet does not."""
    found = []
    for pid in pids:
        with contextlib.suppress(OSError):
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
                found.append(pid)
    return found
