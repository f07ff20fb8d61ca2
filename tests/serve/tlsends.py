"""Both ends of a TLS connection, for tests: certificates, protocols that remember, a client in memory."""

from __future__ import annotations

import asyncio
import functools
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from meshbox.serve.certificates import Certificate
from meshbox.serve.selfsigned import self_signed
from meshbox.serve.tls import TlsConnection, TlsCounters, wrap


@functools.cache
def certificate(name: str = "one") -> Certificate:
    return self_signed(Path(tempfile.mkdtemp(prefix="meshbox-test-")), ["127.0.0.1", name], time.time())


def server_context(name: str = "one") -> ssl.SSLContext:
    return certificate(name).context


def client_context(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


class Inner(asyncio.Protocol):
    """Remembers what it is told. `on_data` may do something with it."""

    def __init__(self, on_data: Callable[[Inner, bytes], None] | None = None) -> None:
        self.on_data = on_data
        self.got = bytearray()
        self.calls: list[str] = []
        self.keeps_open = False
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.calls.append("made")

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self.on_data is not None:
            self.on_data(self, data)

    def eof_received(self) -> bool:
        self.calls.append("eof")
        return self.keeps_open

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.calls.append("lost")
        self.lost.set_result(exc)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for what another task brings about; the test's own deadline is the end of patience."""
    while not is_so():  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def echo(inner: Inner, data: bytes) -> None:
    inner.transport.write(data)


class Server:
    """A TLS listener on loopback. `inners` are its connections."""

    def __init__(self, make: Callable[[], Any] = Inner, name: str = "one") -> None:
        self.make = make
        self.context = server_context(name)
        self.counters = TlsCounters()
        self.inners: list[Any] = []

    async def __aenter__(self) -> Server:
        loop = asyncio.get_running_loop()
        factory = wrap(self._inner, lambda: self.context, self.counters)
        self._server = await loop.create_server(factory, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for inner in self.inners:
            transport = getattr(inner, "transport", None)
            if transport is not None:
                transport.abort()
        await asyncio.sleep(0.01)

    def _inner(self) -> asyncio.BaseProtocol:
        inner: asyncio.BaseProtocol = self.make()
        self.inners.append(inner)
        return inner

    async def connect(
        self, context: ssl.SSLContext | None = None, **options: Any
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=context or client_context(), **options
        )


class FakeSocket(asyncio.Transport):
    """The plain transport below a TlsConnection: a list of what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.aborted = self.closed = self.ended = False

    def write(self, data: Any) -> None:
        assert not self.ended
        self.written += data

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0


class MemoryPair:
    """A TlsConnection and an OpenSSL client that talk through variables."""

    def __init__(self, inner: Inner, version: ssl.TLSVersion | None = None) -> None:
        self.counters = TlsCounters()
        self.inner = inner
        made = wrap(lambda: inner, server_context, self.counters)()
        assert isinstance(made, TlsConnection)
        self.server = made
        self.socket = FakeSocket()
        self.server.connection_made(self.socket)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client_context(version).wrap_bio(self.incoming, self.outgoing)

    def feed(self, data: bytes) -> None:
        """Bytes arrive at the server."""
        while data:
            view = self.server.get_buffer(-1)
            count = min(len(view), len(data))
            view[:count] = data[:count]
            self.server.buffer_updated(count)
            data = data[count:]

    def take(self) -> None:
        """What the server wrote arrives at the client."""
        self.incoming.write(bytes(self.socket.written))
        self.socket.written.clear()

    def shake_hands(self, step: int = 1 << 20) -> None:
        for _ in range(4):
            done = self._client_step()
            sent = self.outgoing.read()
            for at in range(0, len(sent), step):
                self.feed(sent[at : at + step])
            self.take()
            if done:
                return
        raise AssertionError("no handshake")

    def _client_step(self) -> bool:
        try:
            self.client.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def say(self, data: bytes) -> bytes:
        """The ciphertext of what the client says."""
        self.client.write(data)
        return self.outgoing.read()

    def hear(self) -> bytes:
        self.take()
        heard = bytearray()
        try:
            while piece := self.client.read(1 << 16):
                heard += piece
        except ssl.SSLWantReadError:
            pass
        return bytes(heard)
