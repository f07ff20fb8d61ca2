"""A connection whose owner sends the requests of several clients: a reverse proxy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_network

import pytest
from aiohttp import web

from meshbox.serve.front import Doors, Front
from meshbox.serve.sites import Sites
from tests.serve.test_front import House

KEY = b"GET /key HTTP/1.1\r\nHost: h\r\n\r\n"
UPGRADE = (
    b"POST /ts2021 HTTP/1.1\r\nHost: h\r\nUpgrade: tailscale-control-protocol\r\nContent-Length: 0\r\n\r\n"
)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async def key(request: web.Request) -> web.Response:
        return web.Response(text="the key")

    house, sites = House(), Sites()
    upgrades = {"/ts2021": house.upgrade}
    fallback = await sites.protocol_factory([web.get("/key", key)], house.guard, upgrades)
    doors = Doors(upgrades, fallback, house.guard, lambda: house.now)
    server = await asyncio.get_running_loop().create_server(lambda: Front(doors), "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    yield house
    server.close()
    await sites.close()


async def test_an_upgrade_on_a_used_connection_is_told_to_come_again(house: House) -> None:
    said = await house.say(KEY + UPGRADE)
    first, _, second = said.partition(b"the key")
    assert first.startswith(b"HTTP/1.1 200") and b"Connection: close" not in first
    assert second.startswith(b"HTTP/1.1 421") and b"Connection: close" in second
    assert house.heads == []


async def test_a_trusted_proxy_gets_one_answer_per_connection(house: House) -> None:
    house.guard.trusted = (ip_network("127.0.0.0/8"),)
    said = await house.say(KEY)
    assert said.startswith(b"HTTP/1.1 200") and said.count(b"Connection:") == 1
    assert b"Connection: close" in said and said.endswith(b"the key")


async def test_an_upgrade_that_comes_first_is_one(house: House) -> None:
    house.guard.trusted = (ip_network("127.0.0.0/8"),)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(UPGRADE)
    assert await reader.readexactly(8) == b"UPGRADED"
    writer.close()
