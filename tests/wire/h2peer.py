"""The client's end for tests: frames by hand (`get`, `post`, `frames`), and the h2 library (`Client`)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import h2.config
import h2.connection
import h2.errors
import h2.events
import hpack

from meshbox.wire import h2frames as wire
from meshbox.wire.h2 import Event, H2Server, Request

NOW = 1_700_000_000.0


class Frame(NamedTuple):
    kind: int
    flags: int
    stream_id: int
    payload: bytes


def frames(data: bytes) -> list[Frame]:
    """All frames in the bytes; they must end with one."""
    found = []
    while data:
        assert len(data) >= wire.HEAD_BYTES, data
        word, flags, stream_id = struct.unpack_from(">IBI", data)
        end = wire.HEAD_BYTES + (word >> 8)
        assert len(data) >= end, data
        found.append(Frame(word & 0xFF, flags, stream_id, data[wire.HEAD_BYTES : end]))
        data = data[end:]
    return found


def settings(values: dict[int, int]) -> bytes:
    payload = b"".join(wire.setting.pack(*pair) for pair in values.items())
    return wire.frame(wire.SETTINGS, 0, 0, payload)


def block(method: str = "GET", path: str = "/", extra: Sequence[tuple[str, str]] = ()) -> bytes:
    """A header block of literals only, so that tests can put blocks in any order."""
    fields = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "ctl"), *extra]
    encoder = hpack.Encoder()
    encoder.header_table_size = 0
    return encoder.encode(fields)


def get(stream_id: int, path: str = "/", **more: Any) -> bytes:
    flags = wire.END_HEADERS | wire.END_STREAM
    return wire.frame(wire.HEADERS, flags, stream_id, block("GET", path, **more))


def begin_post(stream_id: int, path: str = "/", **more: Any) -> bytes:
    return wire.frame(wire.HEADERS, wire.END_HEADERS, stream_id, block("POST", path, **more))


def data(stream_id: int, payload: bytes = b"", end: bool = False) -> bytes:
    return wire.frame(wire.DATA, wire.END_STREAM if end else 0, stream_id, payload)


def drain(server: H2Server, limit: int = 65536) -> bytes:
    """Everything the server can send now."""
    out = b""
    while True:
        wanted = server.wants_write
        part = server.pull(limit)
        assert len(part) <= limit
        assert bool(part) == wanted
        if not part:
            return out
        out += part


def started(values: dict[int, int] | None = None) -> H2Server:
    """A server behind the exchange of SETTINGS."""
    server = H2Server()
    assert server.feed(wire.PREFACE + settings(values or {}) + wire.SETTINGS_ACK, NOW) == []
    assert drain(server) == wire.OUR_SETTINGS + wire.SETTINGS_ACK
    return server


def requests(events: Sequence[Event]) -> list[Request]:
    return [event for event in events if isinstance(event, Request)]


class Client:
    """The h2 library as the other end. It gives window back by `acknowledge`, never by itself."""

    def __init__(self, values: dict[int, int] | None = None) -> None:
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True))
        self.h2.initiate_connection()
        if values:
            self.h2.update_settings(values)
        self.server = H2Server()
        self.bodies: dict[int, bytearray] = {}
        self.owed: dict[int, int] = {}
        self.statuses: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.cancelled: set[int] = set()
        self.resets: dict[int, int] = {}
        self.goaway: h2.events.ConnectionTerminated | None = None
        self.now = NOW

    def request(self, method: str = "POST", path: str = "/machine/map", body: bytes = b"") -> int:
        """Open a stream, send what the windows allow at once; the body must fit them."""
        stream_id = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":path", path), (":scheme", "https"), (":authority", "ctl")]
        self.h2.send_headers(stream_id, fields, end_stream=not body)
        for at in range(0, len(body), 16384):
            self.h2.send_data(stream_id, body[at : at + 16384], end_stream=at + 16384 >= len(body))
        return stream_id

    def to_server(self) -> list[Event]:
        return self.server.feed(self.h2.data_to_send(), self.now)

    def from_server(self, limit: int = 65536) -> int:
        """One pull; returns how many bytes came."""
        data = self.server.pull(limit)
        for event in self.h2.receive_data(data):
            self._note(event)
        return len(data)

    def exchange(self, limit: int = 65536) -> list[Event]:
        """Back and forth until both are silent."""
        events: list[Event] = []
        while True:
            data = self.h2.data_to_send()
            events += self.server.feed(data, self.now)
            if not self.from_server(limit) and not data:
                return events + self.server.events()

    def acknowledge(self, stream_id: int) -> None:
        """Give back the window the stream has used: its own while it is open, and the connection's."""
        owed = self.owed.pop(stream_id, 0)
        if not owed:
            return
        if stream_id in self.ended or stream_id in self.cancelled:
            self.h2.increment_flow_control_window(owed)
        else:
            self.h2.acknowledge_received_data(owed, stream_id)

    def cancel(self, stream_id: int) -> None:
        self.h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        self.cancelled.add(stream_id)

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self.statuses[event.stream_id] = dict(event.headers)[b":status"]
            self.bodies[event.stream_id] = bytearray()
        elif isinstance(event, h2.events.DataReceived):
            self.bodies[event.stream_id] += event.data
            self.owed[event.stream_id] = self.owed.get(event.stream_id, 0) + event.flow_controlled_length
        elif isinstance(event, h2.events.StreamEnded):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self.resets[event.stream_id] = int(event.error_code)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = event
