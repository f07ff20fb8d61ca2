"""A relay client's socket: from the end of the HTTP upgrade to the end of the connection.

Received bytes land in one buffer shared by all clients; only an incomplete frame is kept per client.
What waits in the client's outbox is written once per turn of the event loop. When the socket takes no
more, packets stay in the outbox, where the oldest are dropped; a socket that moves nothing at all for
STALL is closed. Slow is fine, frozen is not: progress counts, not time.
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import socket
import termios
from typing import TYPE_CHECKING

from meshbox.errors import Malformed
from meshbox.relay.client import FLUSH_AT, MAX_FRAME, SLACK, Client
from meshbox.serve.buffered import feed
from meshbox.wire.derp import HEADER, HEADER_BYTES, KEEP_ALIVE, FrameType, check_length

if TYPE_CHECKING:
    from meshbox.serve.derp import DerpServer

STALL, MESH_STALL = 2.0, 30.0
"""Seconds without progress after which a blocked client, or another relay, is dropped: the official relay's
write timeouts."""

READ_BYTES = 16 * 1024
"""Bytes read from one client before it is the next one's turn, see tls.READ_BYTES."""

BUFFER_BYTES = MAX_FRAME + READ_BYTES + SLACK

WRITE_HIGH, WRITE_LOW = 64 * 1024, 16 * 1024
"""The transport's own buffer, in front of which the outbox can still drop what got old."""

UNSENT_LOW = 128 * 1024
"""Bytes not yet sent that the kernel keeps for us (TCP_NOTSENT_LOWAT); it would take megabytes, all stale."""

USER_TIMEOUT_MS = 15_000
"""Sent and never acknowledged for so long: the client is gone."""

LEAST_REST = 0.005
"""Seconds. Shorter pauses of a client over its rate would cost more in timers than they spare."""


class DerpLink(asyncio.BufferedProtocol):
    """`client` is None until the handshake is done. `is_not_ideal`: it wanted another relay."""

    __slots__ = (
        "_moved_at",
        "_resume",
        "_server",
        "_tail",
        "_unsent",
        "_waits",
        "client",
        "is_not_ideal",
        "peer",
        "transport",
    )

    def __init__(
        self, server: DerpServer, transport: asyncio.Transport, peer: str, is_not_ideal: bool = False
    ) -> None:
        self._server = server
        self.transport = transport
        self._tail = b""
        self._resume: asyncio.TimerHandle | None = None
        self._unsent = 0
        self._waits = False
        self._moved_at = 0.0
        self.client: Client | None = None
        self.peer = peer
        self.is_not_ideal = is_not_ideal

    def start(self, greeting: bytes, leftover: bytes) -> None:
        """Take the connection over. `leftover` is what the client sent behind its request head."""
        transport = self.transport
        transport.set_protocol(self)
        transport.set_write_buffer_limits(WRITE_HIGH, WRITE_LOW)
        _tune(transport.get_extra_info("socket"))
        transport.write(greeting)
        feed(self, leftover)

    # -- reading

    def get_buffer(self, sizehint: int) -> memoryview:
        view, kept = self._server.view, len(self._tail)
        if kept:
            view[:kept] = self._tail
        return view[kept : kept + READ_BYTES]

    def buffer_updated(self, count: int) -> None:
        if self.transport.is_closing():
            return
        view, end = self._server.view, len(self._tail) + count
        try:
            used = self._receive(view, end)
        except Malformed as error:
            self._server.counters.malformed += 1
            self.close(str(error))
            return
        self._tail = bytes(view[used:end]) if used < end else b""
        self._server.flush_soon()

    def eof_received(self) -> None:
        """Half a connection is of no use to a relay, and what waits for it has nobody to read it."""
        self._server.forget(self)
        self.transport.abort()

    def wait(self) -> None:
        """Read nothing more: somebody is asked whether this client is admitted."""
        self._waits = True
        self.transport.pause_reading()

    def proceed(self, client: Client) -> None:
        """It is. What it sent meanwhile comes first."""
        self._waits, self.client = False, client
        self.get_buffer(-1)
        self.buffer_updated(0)
        if self._resume is None and not self.transport.is_closing():
            self.transport.resume_reading()

    def _receive(self, view: memoryview, end: int) -> int:
        if self._waits:
            return 0
        if self.client is not None:
            return self.client.receive(view, end, self._server.now())
        used = self._shake_hands(view[:end])
        if self.client is None or used == end:
            return used
        # Clients do not wait for our ServerInfo before they go on.
        return used + self.client.receive(view[used:], end - used, self._server.now())

    def _shake_hands(self, received: memoryview) -> int:
        if len(received) < HEADER_BYTES:
            return 0
        kind, length = HEADER.unpack_from(received)
        if kind != FrameType.CLIENT_INFO:
            raise Malformed(f"the first frame is {kind:#04x}, not the client's hello")
        check_length(kind, length)
        end = HEADER_BYTES + int(length)
        if len(received) < end:
            return 0
        self.client = self._server.welcome(self, bytes(received[HEADER_BYTES:end]))
        return end

    def rest(self, seconds: float) -> None:
        if self._resume is None and not self.transport.is_closing():
            self.transport.pause_reading()
            self._resume = self._server.later(max(seconds, LEAST_REST), self._read_again)

    def _read_again(self) -> None:
        self._resume = None
        if not self.transport.is_closing():
            self.transport.resume_reading()

    # -- writing

    def send(self, frame: bytes) -> None:
        self.transport.write(frame)

    def flush(self) -> None:
        client = self.client
        if client is None or self.transport.is_closing():
            return
        while client.outbox and not client.is_blocked:
            pieces = client.take(FLUSH_AT, self._server.now())
            # One write is one TLS record, and `writelines` cannot be trusted everywhere (see serve/tls.py).
            self.transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))

    def keep_alive(self) -> None:
        """A blocked client gets none: it has more to read than it wants."""
        if self.client is not None and not self.client.is_blocked:
            self.transport.write(KEEP_ALIVE)

    def pause_writing(self) -> None:
        if self.client is not None:
            self.client.is_blocked = True
            self._unsent, self._moved_at = self._waiting(), self._server.now()
            self._server.blocked.add(self)

    def resume_writing(self) -> None:
        self._server.blocked.discard(self)
        if self.client is not None:
            self.client.is_blocked = False
            self.flush()

    def is_stalled(self, now: float) -> bool:
        """Has the socket, blocked as it is, moved nothing for too long?"""
        unsent = self._waiting()
        if unsent < self._unsent:
            self._unsent, self._moved_at = unsent, now
        patience = MESH_STALL if self.client is not None and self.client.is_mesh else STALL
        return now - self._moved_at >= patience

    def _waiting(self) -> int:
        """Bytes in our buffer and the kernel's. The kernel's count moves with every acknowledgement; ours
        only when much has drained, which takes a slow line longer than STALL."""
        waiting = self.transport.get_write_buffer_size()
        sock = self.transport.get_extra_info("socket")
        if sock is None:
            return waiting
        count = array.array("i", [0])
        try:
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, count)
        except OSError:
            return waiting
        return waiting + count[0]

    # -- ending

    def close(self, why: str) -> None:
        if not self.transport.is_closing():
            self._server.note_closed(self, why)
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._resume is not None:
            self._resume.cancel()
        self._server.forget(self)


def _tune(sock: socket.socket | None) -> None:
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_LOW)
