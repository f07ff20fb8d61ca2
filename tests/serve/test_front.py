"""The front over real sockets: upgrades with their leftover bytes, aiohttp behind it, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from meshbox.serve.front import Doors, Front
from meshbox.serve.guard import HEAD_DEADLINE, Guard
from meshbox.serve.head import HEAD_LIMIT, RequestHead


class Echo(asyncio.Protocol):
    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data.upper())


@dataclass
class House:
    port: int = 0
    now: float = 0.0
    refusals: list[str] = field(default_factory=list)
    heads: list[RequestHead] = field(default_factory=list)
    guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Guard(lambda why, address: self.refusals.append(why))

    def upgrade(self, transport: asyncio.Transport, head: RequestHead, leftover: bytes) -> None:
        self.heads.append(head)
        echo = Echo(transport)
        transport.set_protocol(echo)
        transport.write(b"UPGRADED ")
        echo.data_received(leftover)

    async def say(self, data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        return answer


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    async with serving(house, web_app()):
        yield house


def web_app() -> web.Application:
    async def page(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.path} {await request.text()}")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", page)
    return app


class serving:
    def __init__(self, house: House, app: web.Application | None) -> None:
        self.house, self.app = house, app

    async def __aenter__(self) -> None:
        fallback: Callable[[], asyncio.Protocol] | None = None
        if self.app is not None:
            self.runner = web.AppRunner(self.app)
            await self.runner.setup()
            fallback = self.runner.server  # type: ignore[assignment]
        doors = Doors({"/derp": self.house.upgrade}, fallback, self.house.guard, lambda: self.house.now)
        loop = asyncio.get_running_loop()
        self.server = await loop.create_server(lambda: Front(doors), "127.0.0.1", 0)
        self.house.port = self.server.sockets[0].getsockname()[1]

    async def __aexit__(self, *details: object) -> None:
        self.server.close()
        if self.app is not None:
            await self.runner.cleanup()


UPGRADE = b"GET /derp?x HTTP/1.1\r\nHost: h\r\nUpgrade: DERP\r\n\r\n"


async def test_an_upgrade_gets_the_bytes_behind_the_head(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(UPGRADE + b"early")
    assert await reader.readexactly(14) == b"UPGRADED EARLY"
    writer.write(b"later")
    assert await reader.readexactly(5) == b"LATER"
    assert house.heads[0].peer == "127.0.0.1"
    writer.close()


async def test_a_head_in_single_bytes_is_still_one_request(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    for byte in UPGRADE:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert await reader.readexactly(9) == b"UPGRADED "
    writer.close()


async def test_everything_else_is_aiohttps_with_body_and_keep_alive(house: House) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    for text in (b"one", b"two"):
        length = str(len(text)).encode()
        writer.write(b"POST /a/b HTTP/1.1\r\nHost: h\r\nContent-Length: " + length + b"\r\n\r\n" + text)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert await reader.readexactly(8) == b"/a/b " + text
    assert len(house.guard) == 1
    writer.close()
    await asyncio.sleep(0.05)
    assert len(house.guard) == 0


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 a TLS hello\r\n\r\n", b"400"),
        (b"GET /../etc/passwd HTTP/1.1\r\n\r\n", b"400"),
        (b"GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nx: " + b"y" * (HEAD_LIMIT * 40), b"431"),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 500 + b"\r\n", b"431"),
    ],
)
async def test_a_bad_head_gets_its_answer_even_with_bytes_still_on_the_way(
    house: House, sent: bytes, status: bytes
) -> None:
    answer = await house.say(sent)
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"Connection: close" in answer


async def test_silence_ends_at_the_deadline_and_a_tunnel_is_not_silence(house: House) -> None:
    reader, _ = await asyncio.open_connection("127.0.0.1", house.port)
    half, half_writer = await asyncio.open_connection("127.0.0.1", house.port)
    half_writer.write(b"GET /key HTT")
    await asyncio.sleep(0.05)
    house.now = HEAD_DEADLINE + 1
    house.guard.sweep(house.now)
    for stream in (reader, half):
        with pytest.raises(ConnectionError):
            if await asyncio.wait_for(stream.read(), 5) == b"":
                raise ConnectionResetError
    assert house.refusals == ["head_timeout"] * 2


async def test_without_a_fallback_unknown_paths_are_not_found() -> None:
    house = House()
    async with serving(house, None):
        assert (await house.say(b"GET /key HTTP/1.1\r\nHost: h\r\n\r\n")).startswith(b"HTTP/1.1 404")
