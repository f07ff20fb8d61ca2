"""One HTTP/2 stream: the request as it comes in, and the bytes waiting to go out.

What is queued stays where it is: the stream keeps references to pieces that other connections share
and an offset into the first, and copies when a frame is made.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.wire.h2request import Head

# Sent pieces are dropped from the front in batches: one by one would be quadratic.
SENT_BATCH = 64


class Stream:
    """`head` is set while the request is incomplete; `left` counts unsent bytes, `ending` says that an
    END_STREAM is due behind them. `is_cut`: answered before the request was complete."""

    __slots__ = (
        "_at",
        "_offset",
        "_pieces",
        "body",
        "ending",
        "head",
        "id",
        "is_cut",
        "is_head",
        "left",
        "unacknowledged",
        "window",
    )

    def __init__(self, stream_id: int, head: Head, window: int) -> None:
        self.id = stream_id
        self.head: Head | None = head
        self.window = window
        self.body: bytes | bytearray = b""
        self.unacknowledged = 0
        self.is_head = head.method == "HEAD"
        self.is_cut = False
        self.ending = False
        self.left = 0
        self._pieces: list[bytes] | None = None
        self._at = 0
        self._offset = 0

    def collect(self, data: bytes) -> int:
        """Add to the body; returns its length."""
        if not self.body:
            self.body = data
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += data
        return len(self.body)

    def queue(self, pieces: Iterable[bytes]) -> int:
        """Keep references to the pieces; returns how many bytes they are."""
        fresh = [piece for piece in pieces if piece]
        added = 0
        for piece in fresh:
            added += len(piece)
        if self._pieces is None:
            self._pieces = fresh or None
        else:
            self._pieces += fresh
        self.left += added
        return added

    def take(self, size: int) -> list[bytes | memoryview]:
        """The next `size` bytes, 0 < size <= left, in parts that are not copied."""
        self.left -= size
        parts: list[bytes | memoryview] = []
        pieces = self._pieces or []
        at, offset = self._at, self._offset
        while size:
            piece = pieces[at]
            rest = len(piece) - offset
            if rest <= size:
                parts.append(memoryview(piece)[offset:] if offset else piece)
                size -= rest
                at, offset = at + 1, 0
            else:
                parts.append(memoryview(piece)[offset : offset + size])
                offset += size
                size = 0
        if not self.left:
            self._pieces, at, offset = None, 0, 0
        elif at >= SENT_BATCH:
            del pieces[:at]
            at = 0
        self._at, self._offset = at, offset
        return parts
