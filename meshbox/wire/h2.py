"""An HTTP/2 server for the tunnel, without a socket: bytes in, events out, bytes to send on request.

    server = H2Server()              its SETTINGS can be pulled at once; old clients wait for them
    server.feed(data, now)           -> [Request, Reset, Drained, Closed, ...]
    server.respond(...), .queue(...)
    server.pull(limit)               -> plaintext to seal, until it is empty

It is one quarter of HTTP/2: a server, prior knowledge, no push, literal response headers. `feed` never
raises: whatever a client does wrong ends in a reset stream or in GOAWAY and Closed. An open connection
with one stream costs about 1 KB, a tenth of what a general library keeps, and that is what an idle
device costs. Routing is by path only: the client uses several authorities for one server.
"""

from __future__ import annotations

from collections.abc import Callable

from meshbox.errors import Malformed, TooLarge
from meshbox.wire import h2frames as wire
from meshbox.wire.h2budget import BODIES_LIMIT, BODY_LIMIT, CONTINUATIONS, STREAMS
from meshbox.wire.h2frames import Closed, Drained, Event, Fault, Request, Reset, strip
from meshbox.wire.h2output import Output
from meshbox.wire.h2request import UNKNOWN_LENGTH, Head, read_head
from meshbox.wire.h2stream import Stream
from meshbox.wire.hpack import Decoder

__all__ = ["Closed", "Drained", "Event", "H2Server", "Request", "Reset"]

# We give window back in portions of half the default, so that an upload never waits for us and a small
# request costs no WINDOW_UPDATE at all.
REPLENISH = wire.DEFAULT_WINDOW // 2
TEXT_HEADERS = ((b"content-type", b"text/plain; charset=utf-8"),)


class Block:
    """A header block in the middle of its frames: nothing else may arrive until it is complete."""

    __slots__ = ("continuations", "data", "flags", "stream_id")

    def __init__(self, stream_id: int, flags: int, data: bytes) -> None:
        self.stream_id = stream_id
        self.flags = flags
        self.data = bytearray(data)
        self.continuations = 0


class H2Server(Output):
    __slots__ = ("_block", "_buffer", "_decoder", "_is_greeted", "_is_set", "_unacknowledged")

    def __init__(self) -> None:
        super().__init__()
        self._buffer = b""
        self._block: Block | None = None
        self._decoder = Decoder()
        self._is_greeted = False
        self._is_set = False
        self._unacknowledged = 0

    @property
    def buffered(self) -> int:
        """Bytes held of requests that are not complete."""
        return sum(len(stream.body) for stream in self._streams.values() if stream.head is not None)

    def feed(self, data: bytes, now: float) -> list[Event]:
        """Take what arrived at `now` (unix seconds); returns all events since the last call."""
        if not self.closed:
            self._budget.advance(now)
            if self._buffer:
                data = self._buffer + data
            try:
                at = self._parse(data)
            except Fault as fault:
                self._fail(fault)
                at = len(data)
            self._buffer = b"" if self.closed else data[at:]
        return self.events()

    def _parse(self, data: bytes) -> int:
        """Handle the complete frames; returns where the incomplete one begins."""
        at, end = 0, len(data)
        if not self._is_greeted:
            at = self._greet(data)
            if not self._is_greeted:
                return at
        while end - at >= wire.HEAD_BYTES and not self.closed:
            word, flags, stream_id = wire.head.unpack_from(data, at)
            length, kind = word >> 8, word & 0xFF
            if length > wire.FRAME_LIMIT:
                raise Fault(wire.FRAME_SIZE_ERROR, f"a frame of {length} bytes")
            start = at + wire.HEAD_BYTES
            if start + length > end:
                break
            at = start + length
            self._budget.frame()
            self._check_order(kind, flags, stream_id & wire.WINDOW_LIMIT)
            if kind < len(HANDLERS):
                HANDLERS[kind](self, flags, stream_id & wire.WINDOW_LIMIT, data[start:at])
        return at

    def _greet(self, data: bytes) -> int:
        if not wire.PREFACE.startswith(data[: len(wire.PREFACE)]):
            raise Fault(wire.PROTOCOL_ERROR, "this is not HTTP/2")
        if len(data) < len(wire.PREFACE):
            return 0
        self._is_greeted = True
        return len(wire.PREFACE)

    def _check_order(self, kind: int, flags: int, stream_id: int) -> None:
        if not self._is_set:
            if kind != wire.SETTINGS or flags & wire.ACK:
                raise Fault(wire.PROTOCOL_ERROR, "the first frame is not SETTINGS")
            self._is_set = True
        if (kind == wire.CONTINUATION) != (self._block is not None):
            raise Fault(wire.PROTOCOL_ERROR, "a header block is interrupted, or continued after its end")
        if (kind in PER_STREAM and not stream_id) or (kind in PER_CONNECTION and stream_id):
            raise Fault(wire.PROTOCOL_ERROR, f"a frame of type {kind} on stream {stream_id}")

    # Requests

    def _on_headers(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = strip(flags, payload)
        if flags & wire.WITH_PRIORITY:
            if len(block) < 5:
                raise Fault(wire.FRAME_SIZE_ERROR, "HEADERS too short for its priority")
            block = block[5:]
        if flags & wire.END_HEADERS:
            self._on_block(flags, stream_id, block)
        else:
            self._block = Block(stream_id, flags, block)

    def _on_continuation(self, flags: int, stream_id: int, payload: bytes) -> None:
        block = self._block
        if block is None or block.stream_id != stream_id:
            raise Fault(wire.PROTOCOL_ERROR, "CONTINUATION of another stream")
        block.data += payload
        block.continuations += 1
        if block.continuations > CONTINUATIONS or len(block.data) > wire.FRAME_LIMIT:
            raise Fault(wire.ENHANCE_YOUR_CALM, "a header block without end", "headers")
        if flags & wire.END_HEADERS:
            self._block = None
            self._on_block(block.flags, stream_id, bytes(block.data))

    def _on_block(self, flags: int, stream_id: int, block: bytes) -> None:
        self._budget.header_block(len(block))
        # Decoded whatever becomes of the stream: the tables of both ends must stay the same.
        try:
            fields = self._decoder.decode(block)
        except Malformed as error:
            raise Fault(wire.COMPRESSION_ERROR, str(error)) from None
        except TooLarge as error:
            raise Fault(wire.ENHANCE_YOUR_CALM, str(error), "headers") from None
        is_end = bool(flags & wire.END_STREAM)
        if not stream_id & 1:
            raise Fault(wire.PROTOCOL_ERROR, f"a client opened stream {stream_id}")
        if stream_id <= self._last_id:
            self._on_trailers(stream_id, is_end)
            return
        self._last_id = stream_id
        self._budget.request()
        request = read_head(fields)
        if self._goaway_id >= 0 or len(self._streams) >= STREAMS:
            self._refuse(stream_id, wire.REFUSED_STREAM)
        elif request is None:
            self._refuse(stream_id, wire.PROTOCOL_ERROR)
        else:
            self._open(stream_id, request, is_end)

    def _open(self, stream_id: int, request: Head, is_end: bool) -> None:
        stream = self._streams[stream_id] = Stream(stream_id, request, self._initial_window)
        if is_end:
            self._deliver(stream, request)
        elif request.length > BODY_LIMIT:
            self._answer_too_large(stream)

    def _on_trailers(self, stream_id: int, is_end: bool) -> None:
        """Trailers are tolerated and not read; those of a stream we have reset may still arrive."""
        stream = self._streams.get(stream_id)
        if stream is None:
            self._budget.reset()
        elif not is_end:
            self._abort(stream, wire.PROTOCOL_ERROR)
        else:
            self._end(stream)

    def _on_data(self, flags: int, stream_id: int, payload: bytes) -> None:
        if stream_id > self._last_id:
            raise Fault(wire.PROTOCOL_ERROR, f"DATA on idle stream {stream_id}")
        self._unacknowledged += len(payload)
        if self._unacknowledged >= REPLENISH:
            self._send(wire.window_update(0, self._unacknowledged))
            self._unacknowledged = 0
        data = strip(flags, payload)
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        is_end = bool(flags & wire.END_STREAM)
        if stream.head is not None and data:
            size = stream.collect(data)
            if size > BODY_LIMIT or (not is_end and self.buffered > BODIES_LIMIT):
                self._answer_too_large(stream)
        if is_end:
            self._end(stream)
            return
        if stream.head is None and not stream.is_cut:
            raise Fault(wire.STREAM_CLOSED, f"DATA after the end of stream {stream_id}")
        stream.unacknowledged += len(payload)
        if stream.unacknowledged >= REPLENISH:
            self._send(wire.window_update(stream_id, stream.unacknowledged))
            stream.unacknowledged = 0

    def _end(self, stream: Stream) -> None:
        """The client has said all on this stream."""
        if stream.is_cut:
            stream.is_cut = False
        elif stream.head is None:
            raise Fault(wire.STREAM_CLOSED, f"stream {stream.id} ends twice")
        else:
            self._deliver(stream, stream.head)

    def _deliver(self, stream: Stream, request: Head) -> None:
        body = bytes(stream.body)
        if request.length not in (UNKNOWN_LENGTH, len(body)):
            self._abort(stream, wire.PROTOCOL_ERROR)
            return
        stream.head, stream.body = None, b""
        self._tell(Request(stream.id, request.method, request.path, request.headers, body))

    def _answer_too_large(self, stream: Stream) -> None:
        stream.head, stream.body, stream.is_cut = None, b"", True
        self.respond(stream.id, 413, TEXT_HEADERS, b"the request body is too large\n")

    # The connection

    def _on_reset(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Fault(wire.FRAME_SIZE_ERROR, "RST_STREAM wants 4 bytes")
        if stream_id > self._last_id:
            raise Fault(wire.PROTOCOL_ERROR, f"RST_STREAM on idle stream {stream_id}")
        self._budget.reset()
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if stream.head is None and not stream.is_cut:
            self._tell(Reset(stream_id))
        self._drop(stream)

    def _on_settings(self, flags: int, _stream_id: int, payload: bytes) -> None:
        self._budget.ping()
        if flags & wire.ACK:
            if payload:
                raise Fault(wire.FRAME_SIZE_ERROR, "an acknowledgement of SETTINGS is empty")
            return
        if len(payload) % wire.setting.size:
            raise Fault(wire.FRAME_SIZE_ERROR, "SETTINGS come in six bytes each")
        values = dict(wire.setting.iter_unpack(payload))
        if values.get(wire.ENABLE_PUSH, 0) > 1:
            raise Fault(wire.PROTOCOL_ERROR, "ENABLE_PUSH is 0 or 1")
        # Smaller frames than everybody must accept would make us loop without sending (GO-2026-4918).
        size = values.get(wire.MAX_FRAME_SIZE, wire.FRAME_LIMIT)
        if not wire.FRAME_LIMIT <= size <= wire.MAX_FRAME_SIZE_LIMIT:
            raise Fault(wire.PROTOCOL_ERROR, f"a MAX_FRAME_SIZE of {size}")
        if wire.INITIAL_WINDOW_SIZE in values:
            self._on_initial_window(values[wire.INITIAL_WINDOW_SIZE])
        self._send(wire.SETTINGS_ACK)

    def _on_initial_window(self, size: int) -> None:
        """It moves the windows of open streams too, and may leave them negative."""
        if size > wire.WINDOW_LIMIT:
            raise Fault(wire.FLOW_CONTROL_ERROR, f"an INITIAL_WINDOW_SIZE of {size}")
        change = size - self._initial_window
        self._initial_window = size
        for stream in self._streams.values():
            stream.window += change
            if stream.window > wire.WINDOW_LIMIT:
                raise Fault(wire.FLOW_CONTROL_ERROR, f"the window of stream {stream.id} overflows")

    def _on_ping(self, flags: int, _stream_id: int, payload: bytes) -> None:
        if len(payload) != 8:
            raise Fault(wire.FRAME_SIZE_ERROR, "PING wants 8 bytes")
        self._budget.ping()
        if not flags & wire.ACK:
            self._send(wire.frame(wire.PING, wire.ACK, 0, payload))

    def _on_goaway(self, _flags: int, _stream_id: int, payload: bytes) -> None:
        """The client opens no more streams; an orderly one still reads the answers it waits for."""
        if len(payload) < 8:
            raise Fault(wire.FRAME_SIZE_ERROR, "GOAWAY wants 8 bytes")
        (code,) = wire.word.unpack_from(payload, 4)
        if code != wire.NO_ERROR or not self._streams:
            self._close(f"the client left with code {code}", "left")
        elif self._goaway_id < 0:
            self._goaway_id = self._last_id

    def _on_window_update(self, _flags: int, stream_id: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise Fault(wire.FRAME_SIZE_ERROR, "WINDOW_UPDATE wants 4 bytes")
        increment = wire.word.unpack(payload)[0] & wire.WINDOW_LIMIT
        if not stream_id:
            if not increment:
                raise Fault(wire.PROTOCOL_ERROR, "WINDOW_UPDATE of the connection by 0")
            self._window += increment
            if self._window > wire.WINDOW_LIMIT:
                raise Fault(wire.FLOW_CONTROL_ERROR, "the window of the connection overflows")
            return
        if stream_id > self._last_id:
            raise Fault(wire.PROTOCOL_ERROR, f"WINDOW_UPDATE on idle stream {stream_id}")
        stream = self._streams.get(stream_id)
        if stream is None:
            return
        if not increment:
            self._abort(stream, wire.PROTOCOL_ERROR)
        elif stream.window + increment > wire.WINDOW_LIMIT:
            self._abort(stream, wire.FLOW_CONTROL_ERROR)
        else:
            stream.window += increment

    def _on_priority(self, _flags: int, _stream_id: int, payload: bytes) -> None:
        if len(payload) != 5:
            raise Fault(wire.FRAME_SIZE_ERROR, "PRIORITY wants 5 bytes")

    def _on_push(self, _flags: int, _stream_id: int, _payload: bytes) -> None:
        raise Fault(wire.PROTOCOL_ERROR, "a client cannot push")


# In the order of the frame types; further types are unknown and ignored.
HANDLERS: tuple[Callable[[H2Server, int, int, bytes], None], ...] = (
    H2Server._on_data,
    H2Server._on_headers,
    H2Server._on_priority,
    H2Server._on_reset,
    H2Server._on_settings,
    H2Server._on_push,
    H2Server._on_ping,
    H2Server._on_goaway,
    H2Server._on_window_update,
    H2Server._on_continuation,
)
PER_STREAM = frozenset((wire.DATA, wire.HEADERS, wire.PRIORITY, wire.RST_STREAM, wire.CONTINUATION))
PER_CONNECTION = frozenset((wire.SETTINGS, wire.PING, wire.GOAWAY))
