"""DERP inside a WebSocket, as browser clients speak it, with aiohttp's client as the other end."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from nacl.public import Box, PrivateKey, PublicKey

from meshbox.wire.derp import Frame, FrameReader, FrameType, encode
from tests.serve.relayhouse import RelayHouse
from tests.serve.tlsends import until


class WebClient:
    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.key = PrivateKey(os.urandom(32))
        self.reader = FrameReader()
        self.waiting: list[Frame] = []
        self.largest = 0

    @property
    def public(self) -> bytes:
        return bytes(self.key.public_key)

    async def next(self) -> Frame:
        while not self.waiting:
            message = await self.socket.receive(5)
            assert message.type == aiohttp.WSMsgType.BINARY, message
            self.largest = max(self.largest, len(message.data))
            self.waiting += self.reader.feed(message.data)
        return self.waiting.pop(0)

    async def greet(self, piece: int = 1 << 20) -> None:
        """Shake hands, our frames cut into messages of so many bytes."""
        greeting = await self.next()
        assert greeting.kind == FrameType.SERVER_KEY
        box = Box(self.key, PublicKey(greeting.body[8:]))
        hello = encode(FrameType.CLIENT_INFO, self.public, bytes(box.encrypt(b'{"version":2}')))
        for at in range(0, len(hello), piece):
            await self.socket.send_bytes(hello[at : at + piece])
        info = await self.next()
        assert info.kind == FrameType.SERVER_INFO
        assert json.loads(box.decrypt(info.body)) == {"version": 2}


@asynccontextmanager
async def web_client(house: RelayHouse) -> AsyncIterator[WebClient]:
    scheme = "wss" if house.is_tls else "ws"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"{scheme}://127.0.0.1:{house.way.port}/derp",
            protocols=["derp"],
            ssl=False,
            compress=15,
            headers={"Origin": "https://anywhere.example"},
        ) as socket,
    ):
        assert (socket.protocol, socket.compress) == ("derp", 0)
        yield WebClient(socket)


@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("piece", [1, 50, 1 << 20])
async def test_a_browser_and_a_native_client_reach_each_other(is_tls: bool, piece: int) -> None:
    async with RelayHouse(is_tls=is_tls) as house, web_client(house) as web:
        await web.greet(piece)
        native = await house.client()
        big = os.urandom(65_536)
        native.send(web.public, big)
        frame = await web.next()
        assert (frame.kind, frame.body) == (FrameType.RECV_PACKET, native.public + big)
        assert web.largest <= 32_768
        both = encode(FrameType.SEND_PACKET, native.public, b"one") + encode(
            FrameType.SEND_PACKET, native.public, b"two"
        )
        await web.socket.send_bytes(both)
        assert [await native.packet() for _ in range(2)] == [(web.public, b"one"), (web.public, b"two")]
        assert len(house.guard) == 0
        assert house.derp.counters.websocket_accepts == 1


async def test_a_closed_websocket_leaves_the_relay() -> None:
    async with RelayHouse() as house:
        async with web_client(house) as web:
            await web.greet()
            assert len(house.derp.switch.active) == 1
        await until(lambda: not house.derp.switch.active)


async def test_text_ends_the_connection() -> None:
    async with RelayHouse() as house, web_client(house) as web:
        await web.greet()
        await web.socket.send_str("hello")
        message = await web.socket.receive(5)
        assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, 1003)


async def test_a_flood_into_a_browser_that_reads_nothing_drops_the_oldest() -> None:
    async with RelayHouse() as house, web_client(house) as web:
        await web.greet()
        native = await house.client()
        for _ in range(600):
            native.send(web.public, bytes(60_000))
        assert await native.is_alive()
        assert house.derp.switch.counters.packets_dropped > 0
