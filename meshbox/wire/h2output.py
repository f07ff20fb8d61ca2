"""The writing half of an HTTP/2 connection: answers, queued bodies, both windows, and `pull`.

Control frames and header blocks go first, in order; then each stream with something to send gets one
DATA frame in turn, so a large map does not hold up a small answer beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.wire import hpack
from meshbox.wire.h2budget import CONTROL_LIMIT, UNSENT_LIMIT, Budget
from meshbox.wire.h2frames import (
    DATA,
    DEFAULT_WINDOW,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FRAME_LIMIT,
    GOAWAY,
    HEAD_BYTES,
    HEADERS,
    NO_ERROR,
    OUR_SETTINGS,
    PING,
    Closed,
    Drained,
    Event,
    Fault,
    Reset,
    frame,
    head,
    reset,
)
from meshbox.wire.h2stream import Stream

BODILESS = frozenset((204, 304))


class Output:
    """State shared with the reading half (h2.H2Server). `closed` says why nothing more will be read."""

    __slots__ = (
        "_budget",
        "_control",
        "_events",
        "_goaway_id",
        "_initial_window",
        "_last_id",
        "_streams",
        "_unsent",
        "_window",
        "closed",
    )

    def __init__(self) -> None:
        self.closed = ""
        self._budget = Budget()
        self._control = OUR_SETTINGS
        self._events: list[Event] | None = None
        self._streams: dict[int, Stream] = {}
        self._last_id = 0
        self._goaway_id = -1
        self._initial_window = self._window = DEFAULT_WINDOW
        self._unsent = 0

    # What the owner asks for

    def respond(
        self, stream_id: int, status: int, headers: hpack.Fields = (), body: bytes = b"", end: bool = True
    ) -> bool:
        """Answer a request; with `end` the body is all of it, else `queue` adds more.

        Header names are lower case; `content-length` is added when the body is all. False when the
        stream is gone, which is ordinary: the client may cancel at any time.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return False
        block = hpack.encode(status, headers)
        if end and status not in BODILESS:
            block += hpack.encode_length(len(body))
        if len(block) > FRAME_LIMIT:
            raise ValueError("a response's headers do not fit a frame")
        is_all = end and (not body or stream.is_head)
        flags = END_HEADERS | END_STREAM if is_all else END_HEADERS
        self._control += head.pack(len(block) << 8 | HEADERS, flags, stream_id) + block
        if is_all:
            self._finish(stream)
            return True
        return self.queue(stream_id, (body,), end)

    def queue(self, stream_id: int, pieces: Iterable[bytes], end: bool = False) -> bool:
        """Add to a stream's body. The pieces are referenced, not copied: share them, never change them.

        False when the stream is gone, or when the client leaves so much of it unread that the connection
        is given up.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            return False
        if stream.left > UNSENT_LIMIT:
            self._fail(Fault(ENHANCE_YOUR_CALM, f"{stream.left} bytes of a stream are unsent", "unsent"))
            return False
        if not stream.is_head:
            self._unsent += stream.queue(pieces)
        if end:
            stream.ending = True
        return True

    def pending(self, stream_id: int) -> int:
        """How many queued bytes of the stream have not been pulled."""
        stream = self._streams.get(stream_id)
        return stream.left if stream else 0

    def is_open(self, stream_id: int) -> bool:
        """Whether the stream still takes an answer."""
        return stream_id in self._streams

    def cancel(self, stream_id: int, code: int = NO_ERROR) -> None:
        """Give a stream up: what is unsent is forgotten and the client told."""
        stream = self._streams.get(stream_id)
        if stream is not None:
            self._control += reset(stream_id, code)
            self._drop(stream)

    def goaway(self, code: int = NO_ERROR, text: str = "") -> None:
        """Say that no new request is welcome. With NO_ERROR open streams go on and `closed` follows the
        last of them; any other code ends the connection now."""
        if code != NO_ERROR:
            self._fail(Fault(code, text, "local"))
        elif not self.closed and self._goaway_id < 0:
            self._say_goaway(NO_ERROR, text)
            self._check_drained()

    def ping(self) -> None:
        """Ask the client for a sign of life. Its answer is no event: that bytes arrive is the answer."""
        if not self.closed:
            self._control += frame(PING, 0, 0, bytes(8))

    def events(self) -> list[Event]:
        """What happened since the last call; `feed` returns it too."""
        events, self._events = self._events, None
        return events or []

    @property
    def wants_write(self) -> bool:
        """Whether `pull` would give bytes."""
        if self._control:
            return True
        return any(
            (stream.left and stream.window > 0 and self._window > 0) or (stream.ending and not stream.left)
            for stream in self._streams.values()
        )

    @property
    def open_streams(self) -> int:
        return len(self._streams)

    def pull(self, limit: int) -> bytes:
        """The next plaintext, at most `limit` bytes (some KB, or DATA frames become small); empty when
        nothing can go now: nothing is queued, or the client's windows are full."""
        control = self._control
        if len(control) > limit:
            self._control = control[limit:]
            return control[:limit]
        self._control = b""
        parts: list[bytes | memoryview] = [control] if control else []
        room = limit - len(control)
        streams = self._streams
        while streams and room > HEAD_BYTES:
            before = room
            for stream in tuple(streams.values()):
                if (stream.left or stream.ending) and room > HEAD_BYTES:
                    room -= self._emit(stream, room - HEAD_BYTES, parts)
            if room == before or not self._unsent:
                break
        return parts[0] if len(parts) == 1 and isinstance(parts[0], bytes) else b"".join(parts)

    # What the reading half needs

    def _emit(self, stream: Stream, room: int, parts: list[bytes | memoryview]) -> int:
        """Make one DATA frame of at most `room` payload bytes; returns the bytes it takes, 0 for none."""
        left = stream.left
        size = min(left, stream.window, self._window, room, FRAME_LIMIT)
        if size <= 0:
            if left:
                return 0
            size = 0
        is_last = stream.ending and size == left
        parts.append(head.pack(size << 8 | DATA, END_STREAM if is_last else 0, stream.id))
        if size:
            parts += stream.take(size)
            stream.window -= size
            self._window -= size
            self._unsent -= size
        if size == left:
            self._tell(Drained(stream.id))
            if is_last:
                self._finish(stream)
        elif len(self._streams) > 1:
            # To the end of the line, for the next pull may have room for one frame only.
            del self._streams[stream.id]
            self._streams[stream.id] = stream
        return HEAD_BYTES + size

    def _finish(self, stream: Stream) -> None:
        """The answer is complete. A request that is not is stopped, without calling it an error."""
        if stream.head is not None or stream.is_cut:
            self._control += reset(stream.id, NO_ERROR)
        self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        self._unsent -= stream.left
        del self._streams[stream.id]
        self._check_drained()

    def _abort(self, stream: Stream, code: int) -> None:
        """The client broke a rule on this stream."""
        self._refuse(stream.id, code)
        if stream.head is None:
            self._tell(Reset(stream.id))
        self._drop(stream)

    def _refuse(self, stream_id: int, code: int) -> None:
        self._budget.reset()
        self._send(reset(stream_id, code))

    def _send(self, control: bytes) -> None:
        """Queue an answer the client made us give. Not reading them must not cost us memory."""
        if len(self._control) > CONTROL_LIMIT:
            raise Fault(ENHANCE_YOUR_CALM, f"{len(self._control)} bytes of answers are unread", "unread")
        self._control += control

    def _tell(self, event: Event) -> None:
        if self._events is None:
            self._events = [event]
        else:
            self._events.append(event)

    def _check_drained(self) -> None:
        if self._goaway_id >= 0 and not self._streams and not self.closed:
            self._close("all streams have ended after GOAWAY", "drained")

    def _say_goaway(self, code: int, text: str) -> None:
        # A second GOAWAY may not name a later stream than the first did.
        self._goaway_id = self._last_id if self._goaway_id < 0 else self._goaway_id
        payload = head.pack(self._goaway_id, 0, code)
        self._control += frame(GOAWAY, 0, 0, payload[:4] + payload[5:] + text.encode())

    def _fail(self, fault: Fault) -> None:
        if self.closed:
            return
        self._say_goaway(fault.code, str(fault))
        self._close(str(fault), fault.kind)

    def _close(self, reason: str, kind: str) -> None:
        """Drop everything but the last words."""
        self.closed = reason or kind
        self._streams.clear()
        self._unsent = 0
        self._tell(Closed(self.closed, kind))
