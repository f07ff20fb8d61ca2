"""TLS on a plain TCP transport, through OpenSSL's memory BIOs.

asyncio's own TLS keeps a 256 KiB buffer per connection; here a connection that says nothing costs
what OpenSSL keeps, about 19 KB. Received bytes land in one buffer shared by all connections of the
listener, which is safe because the event loop asks for the buffer and hands it back without anything
in between.

    server = await loop.create_server(tls.wrap(make_inner, lambda: certificate.context), host, port)

The inner protocol gets a real asyncio.Transport. It is told `connection_made` when the TCP connection
is there, before the handshake, so that whoever counts strangers counts those that never shake hands;
what it writes before the handshake is kept until then. The context is asked for at the first byte
of each connection: swap it and new connections use the new one.

A connection that does not finish its handshake in HANDSHAKE_DEADLINE is dropped. `close` sends what is
queued and a close_notify, then waits for the other side's end, so that our last words are not overtaken
by a reset; it gives up after LINGER without progress.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from meshbox.serve.halfclose import half_close
from meshbox.serve.head import short_answer

HANDSHAKE_DEADLINE = 10.0
"""Seconds from accept to the end of the handshake. A half-open handshake holds 20 KB and a descriptor."""

LINGER = 2.0
"""Seconds a closing connection may stand still. A client that never reads its answer would stay for ever."""

READ_BYTES = 16 * 1024
"""Ciphertext taken from the socket at once, before it is the next connection's turn. Measured at the relay
with 100 busy pairs: 64 KiB saves a tenth of the processor time, and makes single packets wait for 30 ms
behind those of others."""

SLICE = 16 * 1024
"""Bytes that go into or out of OpenSSL at once: one full record. A memory BIO never shrinks, so this
bounds what a connection that was busy once keeps for the rest of its life."""

PLAIN_HTTP = short_answer(400, "This port speaks TLS: use https:// in the address.")


@dataclass(slots=True)
class TlsCounters:
    """`handshakes` by version, for instance {"TLSv1.3": 17}."""

    handshakes: dict[str, int] = field(default_factory=dict)
    failed: int = 0
    too_slow: int = 0


class _Listener:
    """What all connections of one listener share."""

    __slots__ = ("context", "counters", "make_inner", "view")

    def __init__(
        self,
        make_inner: Callable[[], asyncio.BaseProtocol],
        context: Callable[[], ssl.SSLContext],
        counters: TlsCounters,
    ) -> None:
        self.make_inner = make_inner
        self.context = context
        self.counters = counters
        self.view = memoryview(bytearray(READ_BYTES))


def wrap(
    make_inner: Callable[[], asyncio.BaseProtocol],
    context: Callable[[], ssl.SSLContext],
    counters: TlsCounters | None = None,
) -> Callable[[], asyncio.BaseProtocol]:
    """A protocol factory for a plain TCP listener that speaks TLS and hands plaintext to `make_inner()`."""
    listener = _Listener(make_inner, context, counters or TlsCounters())
    return lambda: TlsConnection(listener)


class TlsConnection(asyncio.BufferedProtocol, asyncio.Transport):
    """A protocol to the socket's transport, a transport to the inner protocol."""

    __slots__ = (
        "_closing",
        "_deaf",
        "_early",
        "_ended",
        "_established",
        "_incoming",
        "_inner",
        "_is_buffered",
        "_listener",
        "_outer",
        "_outgoing",
        "_paused",
        "_ssl",
        "_timer",
        "_unsent",
    )

    def __init__(self, listener: _Listener) -> None:
        self._listener = listener
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._ssl: ssl.SSLObject | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._early: list[bytes] = []
        self._established = self._paused = self._closing = self._ended = self._deaf = False
        self._unsent = 0

    # -- the side of the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._outer = cast(asyncio.Transport, transport)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_DEADLINE, self._give_up_handshake)
        self.set_protocol(self._listener.make_inner())
        self._inner.connection_made(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._listener.view

    def buffer_updated(self, count: int) -> None:
        view = self._listener.view
        for at in range(0, count, SLICE):
            if self._closing:
                return
            self._incoming.write(view[at : min(at + SLICE, count)])
            self._pump()

    def eof_received(self) -> bool:
        self._deaf = True
        if self._closing:
            self._outer.close()
        elif not self._established:
            self._fail()
        else:
            self._pump()
            self._end_of_stream()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._closing = True
        self._inner.connection_lost(exc)
        # The two protocols and the two transports know each other in circles. 20 KB per connection must
        # not wait for the garbage collector.
        self._ssl = None
        del self._incoming, self._outgoing, self._inner

    def pause_writing(self) -> None:
        cast(asyncio.Protocol, self._inner).pause_writing()

    def resume_writing(self) -> None:
        cast(asyncio.Protocol, self._inner).resume_writing()

    # -- the side of the inner protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        if name == "ssl_object":
            return self._ssl or default
        if name == "sslcontext":
            return self._ssl.context if self._ssl is not None else self._listener.context()
        return self._outer.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._inner = protocol
        self._is_buffered = isinstance(protocol, asyncio.BufferedProtocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._inner

    def is_closing(self) -> bool:
        return self._closing or self._outer.is_closing()

    def is_reading(self) -> bool:
        return not self._paused and not self._closing

    def pause_reading(self) -> None:
        if not self._paused and not self.is_closing():
            self._paused = True
            self._outer.pause_reading()

    def resume_reading(self) -> None:
        if self._paused and not self.is_closing():
            self._paused = False
            # Records that were read already come first; the socket may stay silent for long.
            asyncio.get_running_loop().call_soon(self._pump)
            self._outer.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._outer.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._outer.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        return self._outer.get_write_buffer_size() + sum(map(len, self._early))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not data or self.is_closing():
            return
        if not self._established:
            self._early.append(bytes(data))
        elif len(data) <= SLICE:
            self._sealer.write(data)
            self._outer.write(self._outgoing.read())
        else:
            # Joined: writelines of Python 3.12.0 to 3.12.8 and 3.13.0 to 3.13.1 never says pause_writing
            # (CVE-2024-12254), so a client that reads nothing would fill the memory.
            self._outer.write(b"".join(self._sealed(memoryview(data))))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Joined: every piece on its own would be a record of its own."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """`close` does what half a close is for, see LINGER."""
        return False

    def close(self) -> None:
        if self.is_closing():
            return
        if not self._established:
            self.abort()
            return
        self._closing = True
        # It wants to wait for the other side's close_notify; nobody does.
        with contextlib.suppress(ssl.SSLError):
            self._sealer.unwrap()
        self._hang_up()

    def abort(self) -> None:
        self._closing = True
        self._outer.abort()

    # -- between the two

    @property
    def _sealer(self) -> ssl.SSLObject:
        return cast(ssl.SSLObject, self._ssl)

    def _sealed(self, data: memoryview) -> list[bytes]:
        pieces = []
        for at in range(0, len(data), SLICE):
            self._sealer.write(data[at : at + SLICE])
            pieces.append(self._outgoing.read())
        return pieces

    def _send_pending(self) -> None:
        """What OpenSSL itself wants to say: handshake, alerts, key updates."""
        if self._outgoing.pending:
            self._outer.write(self._outgoing.read())

    def _pump(self) -> None:
        if self._closing:
            return
        try:
            if not self._established:
                self._shake_hands()
            while self._established and not (self._paused or self._closing or self._ended):
                if not self._read():
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._fail(error)
            return
        if not self._closing:
            self._send_pending()

    def _shake_hands(self) -> None:
        if self._ssl is None:
            context = self._listener.context()
            self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._ssl.do_handshake()
        self._established = True
        self._stop_timer()
        version = self._ssl.version() or "unknown"
        counts = self._listener.counters.handshakes
        counts[version] = counts.get(version, 0) + 1
        self._send_pending()
        early, self._early = self._early, []
        self.writelines(early)

    def _read(self) -> bool:
        """Decrypt what is there and pass it on. False: nothing more for now, as is SSLWantReadError."""
        if self._is_buffered:
            return self._read_into(cast(asyncio.BufferedProtocol, self._inner))
        data = self._sealer.read(SLICE)
        if not data:
            self._end_of_stream()
            return False
        cast(asyncio.Protocol, self._inner).data_received(data)
        return self._has_more()

    def _read_into(self, inner: asyncio.BufferedProtocol) -> bool:
        view = memoryview(inner.get_buffer(-1))
        room, got, more, ended = len(view), 0, True, False
        sealer = self._sealer
        try:
            while more and got < room:
                count = cast(int, sealer.read(room - got, view[got:]))
                got += count
                ended = not count
                more = not ended and self._has_more()
        except ssl.SSLWantReadError:
            more = False
        if got:
            inner.buffer_updated(got)
        if ended:
            self._end_of_stream()
        return more

    def _has_more(self) -> bool:
        """Asking is ten times cheaper than the exception that says no."""
        return bool(not self._closing and (self._incoming.pending or self._sealer.pending()))

    def _end_of_stream(self) -> None:
        """The other side said close_notify or closed its half of the connection; tell it once."""
        if self._ended or self._closing:
            return
        self._ended = True
        if not cast(asyncio.Protocol, self._inner).eof_received():
            self.close()

    def _fail(self, error: ssl.SSLError | None = None) -> None:
        """The other side does not speak TLS as we do. OpenSSL has an alert for it, if anything."""
        if self._established:
            self._send_pending()
            self.abort()
            return
        self._listener.counters.failed += 1
        self._closing = True
        if error is not None and error.reason == "HTTP_REQUEST":
            self._outgoing.read()
            self._outer.write(PLAIN_HTTP)
        self._hang_up()

    def _hang_up(self) -> None:
        """Send the rest and our end, then wait for theirs, reading on and forgetting what is read."""
        self._stop_timer()
        self._send_pending()
        if self._outer.is_closing():
            return
        if self._deaf:
            self._outer.close()
        else:
            if self._paused:
                self._outer.resume_reading()
            half_close(self._outer)
        self._unsent = self._outer.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(LINGER, self._give_up_lingering)

    def _give_up_lingering(self) -> None:
        unsent = self._outer.get_write_buffer_size()
        if 0 < unsent < self._unsent:
            self._unsent = unsent
            self._timer = asyncio.get_running_loop().call_later(LINGER, self._give_up_lingering)
        else:
            self._outer.abort()

    def _give_up_handshake(self) -> None:
        self._listener.counters.too_slow += 1
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
