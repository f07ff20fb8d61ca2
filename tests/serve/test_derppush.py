from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nacl.public import PrivateKey

from meshbox.serve import derppush
from meshbox.serve.derppush import Pusher
from meshbox.tailnet import devices
from meshbox.tailnet.model import Node
from meshbox.tailnet.ports import Put
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.keys import NodeKey
from tests.serve.derpdaemon import RelayHome, closes
from tests.serve.tlsends import until
from tests.tailnet.build import NOW, join, make_key, make_tailnet


class Told:
    def __init__(self) -> None:
        self.answers: list[dict[str, Any]] = []

    def __call__(self, place: str, answer: dict[str, Any]) -> None:
        self.answers.append(answer)


@pytest_asyncio.fixture(autouse=True)
async def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(derppush, "RETRY", 0.05)
    monkeypatch.setattr(derppush, "HEARTBEAT", 0.2)


@asynccontextmanager
async def pushing(t: Tailnet, *places: str, token: str = "", epoch: str = "ab" * 8) -> AsyncIterator[Told]:
    told = Told()
    pusher = Pusher(t, time.time, epoch, told)
    pusher.start(places, token)
    try:
        yield told
    finally:
        pusher.close()


def known(relay: RelayHome, node: Node) -> bool:
    return relay.daemon.gate.roster.admits(node.node_key, time.time())


def tailnet_of(count: int) -> tuple[Tailnet, list[Node]]:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    return t, [join(t, number, key, f"n{number}") for number in range(count)]


def delete(t: Tailnet, node: Node) -> None:
    devices.delete(t, node.id, "test", time.time())


async def test_everybody_is_told_first_and_then_what_changes() -> None:
    t, nodes = tailnet_of(3)
    async with RelayHome() as relay, pushing(t, str(relay.config.socket)) as told:
        await until(lambda: len(relay.daemon.gate.roster) == 3)
        assert all(known(relay, node) for node in nodes)
        began = time.monotonic()
        late = join(t, 9, make_key(t, reusable=True), "late")
        await until(lambda: known(relay, late))
        delete(t, nodes[0])
        await until(lambda: not known(relay, nodes[0]))
        assert time.monotonic() - began < 1.0
        assert told.answers[0]["pin"] == relay.daemon.pin
        assert len(relay.daemon.gate.roster) == 3


def test_who_waits_for_approval_is_not_admitted() -> None:
    t, (inside,) = tailnet_of(1)
    t.configure(replace(t.settings, needs_approval=True))
    waiting = join(t, 7, make_key(t), "newcomer")
    pusher = Pusher(t, lambda: NOW, "ab" * 8, Told())
    assert set(pusher.whole().admit) == {inside.node_key}
    assert not pusher.amended(0, {waiting.node_key: False}).admit
    devices.approve(t, waiting.id, "test", NOW)
    assert set(pusher.whole().admit) == {inside.node_key, waiting.node_key}


async def test_a_deleted_node_is_cut_within_a_second() -> None:
    t, nodes = tailnet_of(1)
    key = PrivateKey(os.urandom(32))
    async with RelayHome() as relay, pushing(t, str(relay.config.socket)):
        # It logged in again, with a key that we can prove.
        mine = replace(nodes[0], node_key=NodeKey(bytes(key.public_key)))
        t.commit(NOW, Put(mine))
        await until(lambda: known(relay, mine))
        client = await relay.client(key)
        began = time.monotonic()
        delete(t, mine)
        assert await closes(client, 2.0)
        assert time.monotonic() - began < 1.0


async def test_a_relay_that_starts_later_or_forgot_everything_is_told_again(tmp_path: Path) -> None:
    t, _ = tailnet_of(2)
    async with pushing(t, str(tmp_path / "derp.sock")):
        await asyncio.sleep(0.1)
        async with RelayHome(tmp_path) as relay:
            await until(lambda: len(relay.daemon.gate.roster) == 2)
        (tmp_path / "admitted.json").unlink()
        join(t, 9, make_key(t, reusable=True), "meanwhile")
        async with RelayHome(tmp_path) as relay:
            await until(lambda: len(relay.daemon.gate.roster) == 3)


async def test_changes_while_the_relay_is_away_are_not_lost(tmp_path: Path) -> None:
    t, nodes = tailnet_of(2)
    async with pushing(t, str(tmp_path / "derp.sock")):
        async with RelayHome(tmp_path) as relay:
            await until(lambda: len(relay.daemon.gate.roster) == 2)
        delete(t, nodes[0])
        late = join(t, 9, make_key(t, reusable=True), "late")
        async with RelayHome(tmp_path) as relay:
            await until(lambda: known(relay, late))
            assert not known(relay, nodes[0])


async def test_a_new_run_of_control_takes_over(tmp_path: Path) -> None:
    t, nodes = tailnet_of(2)
    async with RelayHome(tmp_path) as relay:
        async with pushing(t, str(relay.config.socket)):
            await until(lambda: len(relay.daemon.gate.roster) == 2)
        other, _ = tailnet_of(1)
        async with pushing(other, str(relay.config.socket), epoch="cd" * 8):
            await until(lambda: not known(relay, nodes[1]))
            assert known(relay, nodes[0])


@pytest.mark.parametrize(
    ("pin", "token", "arrives"), [("right", "x", True), ("wrong", "x", False), ("right", "y", False)]
)
async def test_a_relay_elsewhere_with_a_pinned_certificate(
    tmp_path: Path, pin: str, token: str, arrives: bool
) -> None:
    t, _ = tailnet_of(2)
    (tmp_path / "token").write_text("x" * 40)
    async with RelayHome(tmp_path, admission__token_path=str(tmp_path / "token")) as relay:
        digest = relay.daemon.pin if pin == "right" else "sha256-raw:" + "0" * 64
        place = f"https://127.0.0.1:{relay.way.port}#{digest}"
        async with pushing(t, place, token=token * 40):
            if arrives:
                await until(lambda: len(relay.daemon.gate.roster) == 2)
            else:
                await asyncio.sleep(0.4)
                assert not relay.daemon.gate.roster.is_known
