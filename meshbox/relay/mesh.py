"""Which keys are connected to other relays of the region, and what passes between relays.

A relay that shares our mesh key watches us: it is told of every client that comes and goes. We watch it in
turn, over a connection of our own, and learn the same of it. A packet for a key that is not here goes to a
relay where it is, once: what was forwarded to us is never forwarded again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from meshbox.relay.queue import Run
from meshbox.wire.derp import HEADER, HEADER_BYTES, FrameType
from meshbox.wire.keys import KEY_BYTES

_FORWARD = int(FrameType.FORWARD_PACKET)


class Forwarder(Protocol):
    """The way to another relay."""

    def forward(self, to: bytes, run: Run) -> None:
        """Send a run to the key `to`, which is connected there. Drops and counts what it cannot send."""


class Elsewhere:
    """Keys and the relays they are connected to, first come first. A key may be at several for a while,
    when its device changed relays."""

    __slots__ = ("_ways", "by_forwarder")

    def __init__(self) -> None:
        self._ways: dict[bytes, list[Forwarder]] = {}
        self.by_forwarder: dict[Forwarder, set[bytes]] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._ways

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._ways)

    def way_to(self, key: bytes) -> Forwarder | None:
        ways = self._ways.get(key)
        return ways[0] if ways else None

    def add(self, key: bytes, way: Forwarder) -> None:
        keys = self.by_forwarder.setdefault(way, set())
        if key not in keys:
            keys.add(key)
            self._ways.setdefault(key, []).append(way)

    def remove(self, key: bytes, way: Forwarder) -> bool:
        """True if it was the last way to the key."""
        keys = self.by_forwarder.get(way)
        if keys is None or key not in keys:
            return False
        keys.discard(key)
        ways = self._ways[key]
        ways.remove(way)
        if not ways:
            del self._ways[key]
        return not ways

    def lose(self, way: Forwarder) -> list[bytes]:
        """The relay is gone; gives the keys to which there is no way any more."""
        lost = [key for key in list(self.by_forwarder.get(way, ())) if self.remove(key, way)]
        self.by_forwarder.pop(way, None)
        return lost


def forward_frames(to: bytes, run: Run) -> bytes:
    """The run's RecvPacket frames as ForwardPacket frames to `to`."""
    view, at = memoryview(run.frames), 0
    frames: list[bytes | memoryview] = []
    for _ in range(run.packets):
        _, length = HEADER.unpack_from(view, at)
        body = at + HEADER_BYTES
        frames += [
            HEADER.pack(_FORWARD, length + KEY_BYTES),
            view[body : body + KEY_BYTES],
            to,
            view[body + KEY_BYTES : body + length],
        ]
        at = body + length
    return b"".join(frames)
