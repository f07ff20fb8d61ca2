"""One port for control and relay without a proxy: connections change the process before TLS begins.

The control server reads a client's first bytes for the name it asks for. If that is the relay's, the socket
itself goes to the relay over a unix socket, with the bytes that were read; from then on control has no part
in the connection. The relay speaks TLS on it as if it had accepted it.

A message on the unix socket (SOCK_SEQPACKET) is the bytes, with the descriptor beside them. When the relay is
away the connection is closed, which is what clients would see of a relay that is away.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import cast

from meshbox import log
from meshbox.serve.buffered import feed
from meshbox.wire.clienthello import HELLO_LIMIT, Incomplete, server_name

MESSAGE_LIMIT = HELLO_LIMIT + 64 * 1024
"""Bytes of one message: what was read before the name was known."""

TURN = 64
"""Connections taken over before the event loop has other things to do."""

AWAY = 1.0
"""Seconds the relay gets to take a connection."""

MakeProtocol = Callable[[], asyncio.BaseProtocol]


class Sorter(asyncio.Protocol):
    """In front of a TLS protocol: passes on what is not for the relay."""

    __slots__ = ("_inner", "_received", "_switch", "_transport")

    def __init__(self, switch: HandOver, inner: asyncio.BufferedProtocol) -> None:
        self._switch = switch
        self._inner = inner
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        # It counts strangers from here on, and has a deadline for those that never say anything.
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        try:
            name = server_name(self._received)
        except Incomplete:
            return
        received, self._received = bytes(self._received), bytearray()
        if name == self._switch.name:
            self._switch.hand_over(self._transport, received)
        else:
            self._transport.set_protocol(self._inner)
            feed(self._inner, received)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()


class HandOver:
    """The giving side: connections that ask for `name` go to the relay at the socket."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name.lower()
        self.given = 0
        self._path = str(path)
        self._way: socket.socket | None = None

    def wrap(self, make_tls: MakeProtocol) -> MakeProtocol:
        """In front of a factory of buffered protocols (tls.wrap)."""
        return lambda: Sorter(self, cast(asyncio.BufferedProtocol, make_tls()))

    def hand_over(self, transport: asyncio.Transport, received: bytes) -> None:
        sock = transport.get_extra_info("socket")
        transport.pause_reading()
        try:
            self._send(sock.fileno(), received)
            self.given += 1
        except OSError as error:
            log.emit_limited("handover_failed", "", path=self._path, reason=error.strerror or str(error))
        # Our descriptor goes, the connection stays with whoever has the other one.
        transport.abort()

    def close(self) -> None:
        if self._way is not None:
            self._way.close()
            self._way = None

    def _send(self, descriptor: int, received: bytes) -> None:
        beside = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))]
        if self._way is not None:
            try:
                self._way.sendmsg([received], beside)
                return
            except OSError:
                self.close()  # The relay was restarted: its new process listens on the same path.
        self._way = self._connect()
        self._way.sendmsg([received], beside)

    def _connect(self) -> socket.socket:
        way = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            way.setblocking(False)
            way.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * MESSAGE_LIMIT)
            way.connect(self._path)
        except OSError:
            way.close()
            raise
        return way


class TakeOver:
    """The relay's side. `make_tls` is what the relay's own listener would use for the connection."""

    def __init__(self, listener: socket.socket, make_tls: MakeProtocol) -> None:
        self.taken = 0
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._make_tls = make_tls
        self._ways: set[socket.socket] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        listener.setblocking(False)
        listener.listen(8)
        self._loop.add_reader(listener.fileno(), self._accept)

    def close(self) -> None:
        for sock in (self._listener, *self._ways):
            self._loop.remove_reader(sock.fileno())
            sock.close()
        self._ways.clear()

    def _accept(self) -> None:
        with contextlib.suppress(BlockingIOError):
            way, _ = self._listener.accept()
            way.setblocking(False)
            self._ways.add(way)
            self._loop.add_reader(way.fileno(), self._take, way)

    def _take(self, way: socket.socket) -> None:
        for _ in range(TURN):
            try:
                received, descriptors, _, _ = socket.recv_fds(way, MESSAGE_LIMIT, 1)
            except BlockingIOError:
                return
            except OSError:
                received, descriptors = b"", []
            if not descriptors:
                # A message without a descriptor is the end: control went away.
                self._loop.remove_reader(way.fileno())
                self._ways.discard(way)
                way.close()
                return
            self._begin(socket.socket(fileno=descriptors[0]), received)

    def _begin(self, sock: socket.socket, received: bytes) -> None:
        self.taken += 1
        sock.setblocking(False)
        task = asyncio.ensure_future(self._connect(sock, received))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, sock: socket.socket, received: bytes) -> None:
        inner = cast(asyncio.BufferedProtocol, self._make_tls())
        try:
            await self._loop.connect_accepted_socket(lambda: _Primed(inner, received), sock)
        except OSError:
            sock.close()


class _Primed(asyncio.Protocol):
    """Gives a protocol the bytes that were read before it came to be, ahead of any others."""

    def __init__(self, inner: asyncio.BufferedProtocol, received: bytes) -> None:
        self._inner = inner
        self._received = received

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._inner.connection_made(transport)
        cast(asyncio.Transport, transport).set_protocol(self._inner)
        if not transport.is_closing():
            feed(self._inner, self._received)
