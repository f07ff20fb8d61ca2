"""One connection to the relay, after its handshake: bytes in, runs of packets out.

`receive` walks over what was read, where it lies. A SendPacket becomes a RecvPacket by overwriting
its type and its destination with the sender's key (both have the same length), and consecutive packets
to one destination go on as one run, copied once. The sender's key is the one it proved, whatever it
claims.

There is no `await`, no task and no allocation per packet. Only complete frames are consumed; the
caller keeps the rest, at most one frame.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Protocol

from meshbox.errors import Malformed
from meshbox.relay.budget import Bucket
from meshbox.relay.queue import OVERHEAD, Outbox, Piece, Run
from meshbox.wire.derp import (
    BODY_LIMITS,
    DISCO_LEAST,
    DISCO_MAGIC,
    HEADER_BYTES,
    MAX_PACKET,
    PING_BYTES,
    FrameType,
    PresentFlags,
    check_length,
    encode,
    is_disco,
    pong,
)
from meshbox.wire.keys import KEY_BYTES, NodeKey

if TYPE_CHECKING:
    from meshbox.relay.switch import Switch
    from meshbox.relay.twins import Twins

FLUSH_AT = 64 * 1024
"""Bytes that may wait for a client which takes them; then they are written at once. Bounds what a turn of
the event loop with many senders and one receiver can pile up."""

GONE_BURST = 3
GONE_RATE = 1.0
"""Answers "not here" per sender, then one a second (derpserver.go). Asking for a thousand keys must not
make us talk more than the asker."""

FRAME_COST = 512
"""Bytes a frame is charged besides its own. Otherwise 64 MiB/s of 13-byte pings are five million frames."""

MAX_FRAME = HEADER_BYTES + 2 * KEY_BYTES + MAX_PACKET
"""The longest frame that is kept until it is complete."""

_HEAD = Struct(">BI32s6s")
_REWRITE = Struct(">BI32s")
SLACK = _HEAD.size
"""Bytes the buffer must have behind the received ones: a header is read together with what may follow."""

_SEND = int(FrameType.SEND_PACKET)
_RECV = int(FrameType.RECV_PACKET)
_LEAST_DISCO = KEY_BYTES + DISCO_LEAST
_LEAST_SEND, _MOST_SEND = BODY_LIMITS[FrameType.SEND_PACKET]
# A second ClientInfo means nothing and is skipped like any unknown frame.
_KNOWN = frozenset(BODY_LIMITS) - {FrameType.CLIENT_INFO}
_MESH_ONLY = (FrameType.FORWARD_PACKET, FrameType.WATCH_CONNS, FrameType.CLOSE_PEER)


class Link(Protocol):
    """The way to a client's socket."""

    def flush(self) -> None:
        """Write what waits in the outbox, as far as the socket takes it."""

    def rest(self, seconds: float) -> None:
        """Read nothing for so long: the client is over its rate, and TCP tells it to slow down."""

    def close(self, why: str) -> None:
        """End the connection now."""


class Client:
    """`is_blocked` is the link's: its socket takes no more. `heard` are the keys it got packets from.
    `bytes_in` and `bytes_out` are of packets, for those who look for who uses the relay most. `presence` is
    what other relays of the region are told of it. `is_mesh`: it is one of those relays."""

    __slots__ = (
        "_budget",
        "_gone",
        "_skip",
        "_switch",
        "bytes_in",
        "bytes_out",
        "heard",
        "is_blocked",
        "is_dirty",
        "is_home",
        "is_mesh",
        "is_removed",
        "key",
        "link",
        "outbox",
        "presence",
        "since",
        "twins",
    )

    def __init__(
        self,
        key: NodeKey,
        link: Link,
        switch: Switch,
        budget: Bucket | None,
        now: float,
        presence: bytes = b"",
    ) -> None:
        self.key = key
        self.presence = presence
        self.is_mesh = bool(presence) and bool(presence[-1] & PresentFlags.MESH_PEER)
        self.link = link
        self.outbox = Outbox()
        self.heard: set[bytes] = set()
        self.twins: Twins | None = None
        self.since = now
        self.bytes_in = self.bytes_out = 0
        self.is_blocked = self.is_dirty = self.is_home = self.is_removed = False
        self._switch = switch
        self._budget = budget
        self._gone: Bucket | None = None
        self._skip = 0

    def receive(self, view: memoryview, end: int, now: float) -> int:
        """Take the frames that are complete in view[:end] (they are overwritten; the view is SLACK bytes
        longer); gives how many bytes were taken. Raises Malformed: hang up."""
        if self.twins is not None:
            self._switch.note_speech(self, self.twins, now)
        at = min(self._skip, end)
        self._skip -= at
        run_at, run_to, packets, frames, is_disco = at, b"", 0, 0, False
        while end - at >= HEADER_BYTES:
            kind, length, to, magic = _HEAD.unpack_from(view, at)
            if kind == _SEND and _LEAST_SEND <= length <= _MOST_SEND:
                after = at + HEADER_BYTES + length
                if after > end:
                    break
                disco = magic == DISCO_MAGIC and length >= _LEAST_DISCO
                if to != run_to or disco is not is_disco:
                    if packets:
                        self._forward(run_to, Run(bytes(view[run_at:at]), packets, is_disco), now)
                        frames += packets
                    run_at, run_to, packets, is_disco = at, to, 0, disco
                _REWRITE.pack_into(view, at, _RECV, length, self.key)
                packets += 1
                at = after
                continue
            if packets:
                self._forward(run_to, Run(bytes(view[run_at:at]), packets, is_disco), now)
                frames += packets
                run_to, packets = b"", 0
            after = self._other(kind, length, view[at + HEADER_BYTES : end], now)
            if after < 0:
                break
            at = min(at + HEADER_BYTES + after, end)
            frames += 1
        if packets:
            self._forward(run_to, Run(bytes(view[run_at:at]), packets, is_disco), now)
        self._pay(at + (frames + packets) * FRAME_COST, now)
        return at

    def take(self, limit: int, now: float) -> list[Piece]:
        """What to write now, about `limit` bytes of it."""
        counters = self._switch.counters
        outbox = self.outbox
        if outbox.data.runs or outbox.disco.runs:
            counters.note_queued(now - outbox.since)
            # What stays behind began to wait later than this, and is counted from now.
            outbox.since = now
        pieces = outbox.take_control()
        if outbox.pong:
            pieces.insert(0, pong(outbox.pong))
            outbox.pong = b""
            counters.sent_pong += 1
        for run in outbox.take_runs(limit):
            pieces.append(run.frames)
            size = len(run.frames) - run.packets * OVERHEAD
            counters.packets_sent += run.packets
            counters.bytes_sent += size
            self.bytes_out += size
        return pieces

    def may_be_told_gone(self, now: float) -> bool:
        """Is there an answer "not here" left for this client?"""
        if self._gone is None:
            self._gone = Bucket(GONE_RATE, GONE_BURST, now)
        return self._gone.take(now)

    def _forward(self, to: bytes, run: Run, now: float) -> None:
        counters = self._switch.counters
        size = len(run.frames) - run.packets * OVERHEAD
        counters.packets_received += run.packets
        counters.bytes_received += size
        self.bytes_in += size
        if run.is_disco:
            counters.packets_received_disco += run.packets
        self._switch.deliver(self, to, run, now)

    def _other(self, kind: int, length: int, rest: memoryview, now: float) -> int:
        """Handle a frame that is no packet; `rest` starts with its body. Gives the body's length, or -1
        while a frame that must be seen whole is incomplete."""
        if kind not in _KNOWN:
            # Skipped as it arrives, never kept: the length may say 4 GiB.
            self._switch.counters.unknown_frames += 1
            self._skip = max(0, length - len(rest))
            return length
        check_length(kind, length)
        if kind in _MESH_ONLY and not self.is_mesh:
            raise Malformed(f"relay frame {kind:#04x} from a client that is no relay")
        if len(rest) < length:
            return -1
        if kind == FrameType.FORWARD_PACKET:
            self._forwarded(rest[:length], now)
        elif kind == FrameType.PING:
            self._switch.counters.got_ping += 1
            if not self.outbox.pong:
                # One answer waits at most; a flood of pings gets one per turn of the event loop.
                self.outbox.pong = bytes(rest[:PING_BYTES])
                self._switch.wake(self)
        elif kind == FrameType.NOTE_PREFERRED:
            self._switch.note_home(self, rest[0] == 1, now)
        elif kind == FrameType.WATCH_CONNS:
            self._switch.watch(self)
        elif kind == FrameType.CLOSE_PEER:
            self._switch.close_peer(bytes(rest[:KEY_BYTES]))
        return length

    def _forwarded(self, body: memoryview, now: float) -> None:
        """Another relay passes on a packet for one of our clients: keys of source and destination, packet."""
        packet = body[2 * KEY_BYTES :]
        source, to = bytes(body[:KEY_BYTES]), bytes(body[KEY_BYTES : 2 * KEY_BYTES])
        frames = encode(FrameType.RECV_PACKET, source, packet)
        self._switch.take_forwarded(self, source, to, Run(frames, 1, is_disco(packet)), now)

    def _pay(self, cost: int, now: float) -> None:
        if self._budget is None:
            return
        seconds = self._budget.charge(cost, now)
        if seconds > 0:
            self._switch.counters.rate_limited += 1
            self.link.rest(seconds)
