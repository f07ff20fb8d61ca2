from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import socket
import ssl
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from aiohttp import web

from meshbox.serve import tls
from tests.serve.tlsends import Inner, MemoryPair, Server, client_context, echo, server_context, until

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a scenario on either event loop, in bounded time."""

    def runner(scenario: Callable[[], Awaitable[None]]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(asyncio.wait_for(scenario(), 10))

    return runner


@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_said_comes_back(run: Run, version: ssl.TLSVersion) -> None:
    async def scenario() -> None:
        async with Server(lambda: Inner(echo)) as server:
            reader, writer = await server.connect(client_context(version))
            said = os.urandom(300_000)
            writer.write(said)
            assert await reader.readexactly(len(said)) == said
            (inner,) = server.inners
            assert inner.transport.get_extra_info("peername")[0] == "127.0.0.1"
            assert inner.transport.get_extra_info("ssl_object").version() == version.name.replace(
                "v1_", "v1."
            )
            assert server.counters.handshakes == {version.name.replace("v1_", "v1."): 1}
            writer.close()

    run(scenario)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(run: Run) -> None:
    async def scenario() -> None:
        context = client_context()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        async with Server() as server:
            with pytest.raises((ssl.SSLError, OSError)):
                await server.connect(context)
            assert (server.counters.failed, server.counters.handshakes) == (1, {})

    run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_stream_that_comes_byte_by_byte(version: ssl.TLSVersion) -> None:
    pair = MemoryPair(Inner(echo), version)
    assert pair.inner.calls == ["made"]
    pair.shake_hands(step=1)
    for byte in pair.say(b"hello") + pair.say(b" there"):
        pair.feed(bytes([byte]))
    assert bytes(pair.inner.got) == b"hello there"
    assert pair.hear() == b"hello there"


@pytest.mark.parametrize("version", VERSIONS)
async def test_no_flipped_byte_is_taken_for_data(version: ssl.TLSVersion) -> None:
    """Of a record after the handshake: it is dropped with the connection, and nothing is raised."""
    length = len(b"x" * 40) + 29
    for at in range(length):
        pair = MemoryPair(Inner(), version)
        pair.shake_hands()
        record = bytearray(pair.say(b"x" * 40))
        record[at % len(record)] ^= 1
        pair.feed(bytes(record))
        pair.feed(pair.say(b"y" * 40))
        assert bytes(pair.inner.got) == b""
        assert pair.server.is_closing() or at % len(record) in (3, 4)  # a longer length: it waits


async def test_a_handshake_with_a_flipped_byte_fails_or_succeeds_but_never_raises() -> None:
    pair = MemoryPair(Inner())
    with contextlib.suppress(ssl.SSLWantReadError):
        pair.client.do_handshake()
    hello = pair.outgoing.read()
    for at in range(len(hello)):
        damaged = bytearray(hello)
        damaged[at] ^= 0x55
        one = MemoryPair(Inner())
        one.feed(bytes(damaged))
        assert one.counters.handshakes == {}
        assert one.inner.got == b""


async def test_garbage_ends_the_connection() -> None:
    for garbage in (
        os.urandom(300),
        b"\x16\x03\x01\xff\xff" + bytes(1000),
        b"\x80\x2e\x01\x00\x02",
        bytes(99),
    ):
        pair = MemoryPair(Inner())
        pair.feed(garbage)
        assert pair.server.is_closing() or not pair.counters.failed


async def test_plain_http_is_told_what_is_wrong() -> None:
    pair = MemoryPair(Inner())
    pair.feed(b"GET /key?v=1 HTTP/1.1\r\nHost: x\r\n\r\n")
    assert bytes(pair.socket.written).startswith(b"HTTP/1.1 400")
    assert b"https://" in pair.socket.written
    assert pair.socket.ended


def test_a_slow_reader_gets_all_of_a_huge_write_and_the_writer_is_told_to_wait(run: Run) -> None:
    said = os.urandom(1 << 20) * 12

    def answer(inner: Inner, data: bytes) -> None:
        inner.transport.set_write_buffer_limits(high=64 * 1024)
        inner.transport.write(said)

    async def scenario() -> None:
        async with Server(lambda: Inner(answer)) as server:
            reader, writer = await server.connect(limit=4096)
            writer.write(b"go")
            await asyncio.sleep(0.2)
            (inner,) = server.inners
            assert inner.calls == ["made", "pause"]
            assert inner.transport.get_write_buffer_size() > 64 * 1024
            digest, left = hashlib.sha256(), len(said)
            while left:
                piece = await reader.read(100_000)
                digest.update(piece)
                left -= len(piece)
            assert digest.digest() == hashlib.sha256(said).digest()
            await asyncio.sleep(0.05)
            assert inner.calls == ["made", "pause", "resume"]
            writer.close()

    run(scenario)


def test_who_pauses_reading_is_told_nothing_until_it_resumes(run: Run) -> None:
    def pause_at_first(inner: Inner, data: bytes) -> None:
        if inner.calls == ["made"]:
            inner.calls.append("paused")
            inner.transport.pause_reading()

    async def scenario() -> None:
        async with Server(lambda: Inner(pause_at_first)) as server:
            _, writer = await server.connect()
            said = os.urandom(400_000)
            writer.write(said)
            await asyncio.sleep(0.1)
            (inner,) = server.inners
            assert 0 < len(inner.got) <= tls.SLICE
            assert not inner.transport.is_reading()
            inner.transport.resume_reading()
            await until(lambda: len(inner.got) >= len(said))
            assert bytes(inner.got) == said
            writer.close()

    run(scenario)


def test_the_end_is_said_properly_after_the_last_word(run: Run) -> None:
    def last_word(inner: Inner, data: bytes) -> None:
        inner.transport.write(b"z" * 500_000)
        inner.transport.close()
        inner.transport.write(b"too late")

    async def scenario() -> None:
        async with Server(lambda: Inner(last_word)) as server:
            blocking = await asyncio.to_thread(_read_to_clean_end, server.port)
            assert blocking == b"z" * 500_000
            assert await server.inners[0].lost is None

    run(scenario)


def _read_to_clean_end(port: int) -> bytes:
    """Raises SSLEOFError if the connection ends without close_notify."""
    plain = socket.create_connection(("127.0.0.1", port))
    with client_context().wrap_socket(plain, suppress_ragged_eofs=False) as client:
        client.sendall(b"?")
        heard = bytearray()
        while piece := client.recv(65_536):
            heard += piece
        return bytes(heard)


def test_unread_requests_do_not_turn_the_answer_into_a_reset(run: Run) -> None:
    def refuse(inner: Inner, data: bytes) -> None:
        inner.transport.write(b"no")
        inner.transport.close()

    async def scenario() -> None:
        async with Server(lambda: Inner(refuse)) as server:
            reader, writer = await server.connect()
            writer.write(bytes(3_000_000))
            assert await reader.read(100) == b"no"
            writer.close()

    run(scenario)


@pytest.mark.parametrize("version", VERSIONS)
async def test_close_notify_is_the_end_of_the_stream_once(version: ssl.TLSVersion) -> None:
    pair = MemoryPair(Inner(echo), version)
    pair.shake_hands()
    last = pair.say(b"bye")
    with contextlib.suppress(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.feed(last + pair.outgoing.read())
    pair.server.eof_received()
    assert bytes(pair.inner.got) == b"bye"
    assert pair.inner.calls == ["made", "eof"]
    assert pair.server.is_closing()
    assert pair.socket.ended


async def test_half_a_connection_still_carries_the_answer() -> None:
    pair = MemoryPair(Inner())
    pair.inner.keeps_open = True
    pair.shake_hands()
    with contextlib.suppress(ssl.SSLWantReadError):
        pair.client.unwrap()
    pair.feed(pair.outgoing.read())
    assert pair.inner.calls == ["made", "eof"]
    assert not pair.server.is_closing()
    pair.server.write(b"answer")
    assert len(pair.socket.written) > len(b"answer")
    pair.server.close()
    assert pair.socket.ended


def test_a_socket_that_just_ends_is_the_end_of_the_stream(run: Run) -> None:
    async def scenario() -> None:
        async with Server() as server:
            await asyncio.to_thread(_say_and_vanish, server.port)
            (inner,) = server.inners
            await asyncio.wait_for(inner.lost, 3)
            assert inner.calls == ["made", "eof", "lost"]
            assert inner.got == b"x"

    run(scenario)


def _say_and_vanish(port: int) -> None:
    """Ends the TCP connection without close_notify."""
    with client_context().wrap_socket(socket.create_connection(("127.0.0.1", port))) as client:
        client.sendall(b"x")
        client.shutdown(socket.SHUT_WR)


def test_silence_before_the_handshake_has_an_end(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_DEADLINE", 0.2)

    async def scenario() -> None:
        async with Server() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"\x16\x03\x01")
            with contextlib.suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 2) == b""
            assert server.inners[0].calls == ["made", "lost"]
            assert server.counters.too_slow == 1
            _, writer = await server.connect()
            await asyncio.sleep(0.3)
            assert server.inners[1].calls == ["made"]
            writer.close()

    run(scenario)


def test_a_closing_connection_that_takes_nothing_has_an_end(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "LINGER", 0.2)

    def last_word(inner: Inner, data: bytes) -> None:
        inner.transport.write(bytes(20_000_000))
        inner.transport.close()

    async def scenario() -> None:
        async with Server(lambda: Inner(last_word)) as server:
            _, writer = await server.connect(limit=1024)
            writer.write(b"?")
            await asyncio.sleep(0.05)
            await asyncio.wait_for(server.inners[0].lost, 3)
            writer.transport.abort()

    run(scenario)


def test_new_connections_use_the_new_certificate_and_old_ones_go_on(run: Run) -> None:
    async def scenario() -> None:
        async with Server(lambda: Inner(echo)) as server:
            reader, writer = await server.connect()
            old = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            server.context = server_context("two")
            _, other = await server.connect()
            assert other.get_extra_info("ssl_object").getpeercert(binary_form=True) != old
            writer.write(b"still here")
            assert await reader.readexactly(10) == b"still here"
            writer.close()
            other.close()

    run(scenario)


class Shared(asyncio.BufferedProtocol):
    """Reads into one small buffer, as the relay does."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.buffer = bytearray(5000)
        self.got = bytearray()

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, count: int) -> None:
        self.got += self.buffer[:count]
        self.transport.write(b"%d;" % len(self.got))


def test_a_connection_changes_hands_in_the_middle_of_a_read(run: Run) -> None:
    taken: list[Shared] = []

    def hand_over(inner: Inner, data: bytes) -> None:
        taken.append(Shared(inner.transport))
        inner.transport.set_protocol(taken[0])
        assert inner.transport.get_protocol() is taken[0]

    async def scenario() -> None:
        taken.clear()
        async with Server(lambda: Inner(hand_over)) as server:
            reader, writer = await server.connect()
            writer.write(b"head")
            await writer.drain()
            writer.write(b"a" * 40_000)
            while not (await reader.readuntil(b";")).endswith(b"40000;"):
                pass
            assert bytes(server.inners[0].got) == b"head"
            assert bytes(taken[0].got) == b"a" * 40_000
            writer.close()

    run(scenario)


async def test_what_is_written_before_the_handshake_is_said_after_it() -> None:
    pair = MemoryPair(Inner())
    pair.server.write(b"welcome")
    assert pair.server.get_write_buffer_size() == 7
    assert not pair.socket.written
    pair.shake_hands()
    assert pair.hear() == b"welcome"


def test_aiohttp_lives_inside(run: Run) -> None:
    async def back(request: web.Request) -> web.Response:
        body = await request.read()
        return web.Response(body=body, headers={"X-Scheme": request.scheme})

    async def scenario() -> None:
        app = web.Application(client_max_size=1 << 23)
        app.router.add_post("/", back)
        runner = web.AppRunner(app)
        await runner.setup()
        assert runner.server is not None
        async with Server(runner.server) as server:
            body = os.urandom(3_000_000)
            for _ in range(2):
                reader, writer = await server.connect(limit=1 << 23)
                head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                for _ in range(2):
                    writer.write(head + body)
                    answer = await reader.readuntil(b"\r\n\r\n")
                    assert b"X-Scheme: https" in answer
                    assert await reader.readexactly(len(body)) == body
                writer.close()
            server.inners.clear()
        await runner.cleanup()

    run(scenario)


def test_a_connection_that_ended_leaves_nothing_for_the_garbage_collector(run: Run) -> None:
    async def scenario() -> None:
        async with Server() as server:
            gc.collect()
            gc.disable()
            try:
                objects = []
                for half in (True, False, True, False):
                    if half:
                        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                        writer.write(b"\x16\x03\x01\x02\x00\x01")
                    else:
                        _, writer = await server.connect()
                    await asyncio.sleep(0.05)
                    objects.append(weakref.ref(server.inners[-1].transport._ssl))
                    writer.transport.abort()
                    await server.inners[-1].lost
                assert [ref() for ref in objects] == [None] * 4
            finally:
                gc.enable()

    run(scenario)
