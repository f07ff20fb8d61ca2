"""Questions reach the client in its map stream; answers are taken from its machine alone, and in time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from meshbox.errors import Busy, Unreachable
from meshbox.serve import questions
from meshbox.serve.questions import ANSWER_PATH, Questions
from meshbox.wire.c2n import head_request
from meshbox.wire.gojson import Json
from tests.fake.node import FakeNode
from tests.fake.server import FakeServer, serving, write_config


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def asked(server: FakeServer) -> Questions:
    return server.app.plant.control.questions


class Heard:
    """The PingRequest that a node was sent; `url` its path."""

    def __init__(self, node: FakeNode) -> None:
        self.arrived: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        apply = node.map.apply

        def listen(message: Json) -> None:
            if "PingRequest" in message:
                self.arrived.set_result(message["PingRequest"])
            else:
                apply(message)

        node.map.apply = listen  # type: ignore[method-assign]

    async def path(self) -> str:
        request = await asyncio.wait_for(self.arrived, 5)
        return ANSWER_PATH + str(request["URL"]).partition(ANSWER_PATH)[2]


async def test_an_answer_comes_back_through_the_tunnel(config: Path) -> None:
    async with serving(config) as server:
        node = await server.joined("lab")
        heard = Heard(node)
        asking = asyncio.create_task(
            asked(server).ask(server.app.plant.core.tailnet.nodes[1], head_request, 5)
        )
        path = await heard.path()
        tunnel = await node.connect()
        assert (await tunnel.request("POST", path, {"hello": 1})).status == 204
        assert await asking == b'{"hello":1}' or await asking == b'{"hello": 1}'
        assert (await tunnel.request("POST", path, {})).status == 404, "an answer counts once"


async def test_another_machine_cannot_answer(config: Path) -> None:
    async with serving(config) as server:
        node, thief = await server.joined("lab"), await server.joined("thief")
        heard = Heard(node)
        asking = asyncio.create_task(
            asked(server).ask(server.app.plant.core.tailnet.nodes[1], head_request, 1)
        )
        path = await heard.path()
        assert (await (await thief.connect()).request("POST", path, {})).status == 404
        with pytest.raises(Unreachable, match="did not answer within 1 seconds"):
            await asking
        assert (await (await node.connect()).request("POST", path, {})).status == 404, "too late"


async def test_who_is_not_connected_cannot_be_asked_and_few_are_asked_at_once(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(config) as server:
        node = await server.joined("lab")
        tailnet = server.app.plant.core.tailnet
        monkeypatch.setattr(questions, "OPEN_AT_ONCE", 1)
        first = asyncio.create_task(asked(server).ask(tailnet.nodes[1], head_request, 2))
        await asyncio.sleep(0)
        with pytest.raises(Busy):
            await asked(server).ask(tailnet.nodes[1], head_request, 2)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await node.stop_listening()
        await node.close()
        for _ in range(200):
            if not len(server.app.plant.sessions):
                break
            await asyncio.sleep(0.02)
        with pytest.raises(Unreachable, match="is not connected"):
            await asked(server).ask(tailnet.nodes[1], head_request, 2)
