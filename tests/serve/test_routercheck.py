"""Signs of life from routers, over real sockets: one that does not answer loses its route in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from meshbox.serve.questions import ANSWER_PATH
from meshbox.tailnet import routes
from tests.fake.node import FakeNode
from tests.fake.server import FakeServer, serving, write_config

LAN = "10.33.0.0/16"
HA = {"routes": {"ha": {"probe_interval": "2s", "probe_timeout": "1s"}}}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, node=HA)


class FakeRouter:
    """Answers questions while `is_alive`."""

    def __init__(self, node: FakeNode) -> None:
        self.node = node
        self.is_alive = True
        self.asked = 0
        self._answers: set[asyncio.Task[Any]] = set()
        apply = node.map.apply

        def listen(message: dict[str, Any]) -> None:
            if "PingRequest" not in message:
                apply(message)
                return
            self.asked += 1
            if self.is_alive:
                self._answers.add(asyncio.create_task(self._answer(str(message["PingRequest"]["URL"]))))

        node.map.apply = listen  # type: ignore[method-assign]

    async def _answer(self, url: str) -> None:
        tunnel = await self.node.connect()
        await tunnel.request("HEAD", ANSWER_PATH + url.partition(ANSWER_PATH)[2])


async def a_router(server: FakeServer, name: str) -> FakeRouter:
    node = await server.joined(name)
    hostinfo = node.hostinfo() | {"RoutableIPs": [LAN]}
    await node.lite(Hostinfo=hostinfo)
    t = server.tailnet
    routes.approve(t, t.by_name[name], routes.parse_routes([LAN]), "test", time.time())
    return FakeRouter(node)


def carrier(server: FakeServer) -> str:
    return next(one.node.name for one in routes.list_routes(server.tailnet) if one.state == "primary")


async def until(true: Callable[[], bool], within: float = 6.0) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110 - the server tells nobody else
            await asyncio.sleep(0.05)


async def test_a_router_that_does_not_answer_loses_its_route_and_gets_it_not_back(config: Path) -> None:
    async with serving(config) as server:
        one = await a_router(server, "one")
        await asyncio.sleep(1.5)
        assert not one.asked, "who shares nothing is not asked"
        two = await a_router(server, "two")
        await until(lambda: one.asked > 0 and two.asked > 0)
        assert carrier(server) == "one" and not server.tailnet.presence.silent
        one.is_alive = False
        await until(lambda: carrier(server) == "two")
        assert server.tailnet.presence.silent == {server.tailnet.by_name["one"]}
        one.is_alive = True
        await until(lambda: not server.tailnet.presence.silent)
        assert carrier(server) == "two"


async def test_nobody_is_asked_when_it_is_switched_off(tmp_path: Path) -> None:
    off = {"routes": {"ha": {"probe_interval": 0}}}
    async with serving(write_config(tmp_path, node=off)) as server:
        one, two = await a_router(server, "one"), await a_router(server, "two")
        await asyncio.sleep(2.5)
        assert not one.asked and not two.asked


async def test_when_our_own_loop_was_late_nobody_is_judged(config: Path) -> None:
    async with serving(config) as server:
        one, two = await a_router(server, "one"), await a_router(server, "two")
        plant = server.app.plant
        beat = plant.router_check.beat

        def late() -> None:
            plant.pulse.lag = 3.0
            beat()

        plant.pulse._chores = [late if chore == beat else chore for chore in plant.pulse._chores]
        one.is_alive = two.is_alive = False
        await until(lambda: one.asked > 1 and two.asked > 1)
        assert not server.tailnet.presence.silent
