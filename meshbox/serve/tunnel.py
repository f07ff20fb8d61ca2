"""One client's tunnel: bytes of a socket through Noise and HTTP/2 to requests, and back.

A protocol object and nothing else: no task, no stream reader, no timer, because ten thousand of
them are open at once and do nothing. Whoever opens one has proved to hold *some* machine key, which
anybody can make; `authorise` is called by the first request that binds it to a node.

Source: control-protocol `/ts2021`; tailscale control/controlhttp (controlhttpserver).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshbox import log
from meshbox.errors import PeerError
from meshbox.serve.core import Core
from meshbox.serve.guard import Seat
from meshbox.wire.h2 import Closed, Drained, Event, H2Server, Request, Reset
from meshbox.wire.keys import MachineKey
from meshbox.wire.noise import Handshake, Records

if TYPE_CHECKING:
    from meshbox.serve.sessions import Session

PULL = 48 * 1024
"""Bytes sealed and handed to the transport at a time: a first map of 2 MB never exists here as a whole."""

WRITE_HIGH = 64 * 1024
WRITE_LOW = 16 * 1024
"""The transport says stop above the one and go on below the other."""

EARLY_LIMIT = 4096
"""Bytes a client may send while its handshake waits for its turn; it can know no key yet, so any is odd."""

WAITING_LIMIT = 4 << 20
"""Bytes of whole requests that wait for their turn. A sound client has one or two of a few KB."""

ORDERLY = frozenset({"h2_left", "h2_drained"})
"""Ends that are nobody's fault: the client said good-bye, or we did and all answers are out."""

Headers = Iterable[tuple[bytes, bytes]]
TEXT = (b"content-type", b"text/plain; charset=utf-8")
JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who is told: of a request that waits (`next_request`), of a stream the client gave up, of the end, of
    written bytes, of an authorisation."""

    request: Callable[[Tunnel], None]
    reset: Callable[[Tunnel, int], None]
    lost: Callable[[Tunnel], None]
    drained: Callable[[Tunnel], None]
    authorised: Callable[[Tunnel], None]


class Tunnel(asyncio.Protocol):
    """`session` is the map poll this tunnel carries, if any; `peer` the client's address; `is_heard` says
    whether a byte came since the last `knock`."""

    __slots__ = (
        "_callbacks",
        "_core",
        "_early",
        "_is_open",
        "_is_paused",
        "_records",
        "_seat",
        "_transport",
        "_waiting",
        "h2",
        "is_heard",
        "machine_key",
        "peer",
        "session",
    )

    def __init__(self, core: Core, callbacks: Callbacks, transport: asyncio.Transport, peer: str) -> None:
        self._core = core
        self._callbacks = callbacks
        self._transport = transport
        self._seat: Seat | None = None
        self._records: Records | None = None
        self._early = b""
        self._is_open = True
        self._is_paused = False
        self._waiting: tuple[Request, ...] = ()
        self.is_heard = True
        self.h2 = H2Server()
        self.machine_key = MachineKey.zero()
        self.peer = peer
        self.session: Session | None = None

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def is_authorised(self) -> bool:
        return self._records is not None and self._seat is None

    def queue(self, work: Callable[[], None]) -> None:
        """Do this when its turn comes: a node's among the known nodes', a stranger's among its place's."""
        seat = self._seat
        line: object = self.machine_key if seat is None else seat.place or self.peer
        self._core.turns.add(work, line, is_stranger=seat is not None)

    def sit(self, seat: Seat | None) -> None:
        """The guard's seat this connection has until a request authorises it."""
        self._seat = seat

    def begin(self, handshake: Handshake, prelude: bytes, early_payload: bytes) -> None:
        """The handshake succeeded: answer it, and everything the client waits for, in one write.
        Older clients block until the first HTTP/2 bytes are there."""
        records = self._records = Records(handshake.rx_key, handshake.tx_key)
        self.machine_key = handshake.machine_key
        self._transport.set_write_buffer_limits(high=WRITE_HIGH, low=WRITE_LOW)
        opening = records.seal(early_payload + self.h2.pull(PULL))
        self._transport.write(prelude + handshake.response + opening)
        early, self._early = self._early, b""
        if early:
            self.data_received(early)

    # What comes in

    def data_received(self, data: bytes) -> None:
        self.is_heard = True
        if self._seat is not None:
            self._seat.heard_at = self._core.steady()
        if self._records is None:
            self._early += data
            if len(self._early) > EARLY_LIMIT:
                self.abort()
            return
        if not self._is_open:
            return
        try:
            plain = b"".join(self._records.feed(data))
        except PeerError as error:
            self._give_up("bad_record", str(error))
            return
        if plain:
            self._take(self.h2.feed(plain, self._core.wall()))
            self.pump()
            self._tell_held()

    def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            match event:
                case Request():
                    self._waiting += (event,)
                    self._callbacks.request(self)
                    if self._waiting_bytes > WAITING_LIMIT:
                        self._give_up("bodies", "the requests that wait are too large")
                case Reset(stream_id):
                    self._callbacks.reset(self, stream_id)
                case Drained():
                    self._callbacks.drained(self)
                case Closed(reason, kind):
                    self._give_up(f"h2_{kind}", reason)

    def next_request(self) -> Request | None:
        """The oldest request that waits for its turn; None once the tunnel has gone, its requests with it."""
        if not self._waiting:
            return None
        request, self._waiting = self._waiting[0], self._waiting[1:]
        self._tell_held()
        return request

    def _tell_held(self) -> None:
        if self._seat is not None:
            self._core.guard.hold(self._seat, self._waiting_bytes + self.h2.buffered)

    @property
    def _waiting_bytes(self) -> int:
        return sum(len(request.body) for request in self._waiting)

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_open = False
        self._waiting = ()
        if self._seat is not None:
            self._core.guard.release(self._seat.transport)
            self._seat = None
        self._callbacks.lost(self)

    # What goes out

    def answer(self, stream_id: int, status: int, body: bytes = b"", headers: Headers = (TEXT,)) -> None:
        """A whole response; dropped when the client has gone or given the stream up."""
        if self._is_open:
            self.h2.respond(stream_id, status, tuple(headers), body)
            self.pump()

    def end_stream(self, stream_id: int) -> None:
        """End a map poll: in order when all was sent, otherwise at once."""
        if self._is_open:
            if self.h2.pending(stream_id):
                self.h2.cancel(stream_id)
            else:
                self.h2.queue(stream_id, (), end=True)
            self.pump()

    def pump(self) -> None:
        """Write what flow control and the transport take."""
        records = self._records
        if records is None or not self._is_open:
            return
        while not self._is_paused:
            piece = self.h2.pull(PULL)
            if not piece:
                break
            self._transport.write(records.seal(piece))
        self._take(self.h2.events())

    def knock(self) -> None:
        """Ask for a sign of life, together with whatever is written next."""
        self.is_heard = False
        self.h2.ping()

    def pause_writing(self) -> None:
        self._is_paused = True

    def resume_writing(self) -> None:
        self._is_paused = False
        self.pump()

    # Standing

    def authorise(self) -> None:
        """A request proved that this machine key belongs to a node: no longer a stranger."""
        if self._seat is not None:
            self._core.guard.release(self._seat.transport)
            self._seat = None
            self._callbacks.authorised(self)

    def tolerate(self, seconds: float) -> None:
        """Let it stay this long from now, if it is a stranger's still."""
        if self._seat is not None:
            guard, now = self._core.guard, self._core.steady()
            guard.allow(self._seat.transport, seconds, "tunnel_unauthorised", now)

    def close(self) -> None:
        """Tell the client that no more requests are taken here, and end once everything is written."""
        if self._is_open:
            self.h2.goaway(0, "")
            self.pump()
            self._transport.close()

    def abort(self) -> None:
        self._is_open = False
        self._transport.abort()

    def _give_up(self, why: str, reason: str) -> None:
        """The tunnel is beyond use; what HTTP/2 has to say about it goes out first."""
        if not self._is_open:
            return
        if why not in ORDERLY:
            self._core.metrics.count("meshbox_refused_total", why)
            log.emit_limited("tunnel_dropped", self.peer, peer_ip=self.peer, reason=reason)
        last_words = self.h2.pull(PULL)
        if last_words and self._records is not None:
            self._transport.write(self._records.seal(last_words))
        self._is_open = False
        self._transport.close()
