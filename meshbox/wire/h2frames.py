"""The HTTP/2 frame layout, its numbers, and what a connection tells its owner (RFC 9113).

frame: u24 length | u8 type | u8 flags | u31 stream | payload       big-endian
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from meshbox.errors import PeerError
from meshbox.wire.hpack import HEADER_LIST_LIMIT, Fields

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_BYTES = 9

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9

END_STREAM = ACK = 0x1
END_HEADERS = 0x4
PADDED = 0x8
WITH_PRIORITY = 0x20

NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, STREAM_CLOSED = 0x0, 0x1, 0x3, 0x5
FRAME_SIZE_ERROR, REFUSED_STREAM, COMPRESSION_ERROR, ENHANCE_YOUR_CALM = 0x6, 0x7, 0x9, 0xB

HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6

# What we accept and what we send: every peer must take frames of this size, and larger ones would
# only make each client keep a larger read buffer.
FRAME_LIMIT = 16384
MAX_FRAME_SIZE_LIMIT = (1 << 24) - 1
WINDOW_LIMIT = (1 << 31) - 1
DEFAULT_WINDOW = 65535
# The official client reads fewer than 100 as a reason to dial another tunnel; it assumes 100 until
# SETTINGS arrive. We advertise that and refuse streams beyond h2budget.STREAMS, which it retries.
ADVERTISED_STREAMS = 100

head = struct.Struct(">IBI")
setting = struct.Struct(">HI")
word = struct.Struct(">I")


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    return head.pack(len(payload) << 8 | kind, flags, stream_id) + payload


OUR_SETTINGS = frame(
    SETTINGS,
    0,
    0,
    setting.pack(HEADER_TABLE_SIZE, 0)
    + setting.pack(MAX_CONCURRENT_STREAMS, ADVERTISED_STREAMS)
    + setting.pack(MAX_HEADER_LIST_SIZE, HEADER_LIST_LIMIT),
)
SETTINGS_ACK = frame(SETTINGS, ACK, 0)


def reset(stream_id: int, code: int) -> bytes:
    return frame(RST_STREAM, 0, stream_id, word.pack(code))


def window_update(stream_id: int, increment: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, word.pack(increment))


class Fault(PeerError):
    """The connection cannot go on. `code` is for GOAWAY, `kind` one of few words for a counter."""

    def __init__(self, code: int, message: str, kind: str = "protocol") -> None:
        super().__init__(message)
        self.code = code
        self.kind = kind


def strip(flags: int, payload: bytes) -> bytes:
    """The payload of DATA or HEADERS without its padding."""
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise Fault(PROTOCOL_ERROR, "padding longer than its frame")
    return payload[1 : len(payload) - payload[0]]


@dataclass(frozen=True, slots=True)
class Request:
    """A request, delivered when its last byte is here. `headers` are without the pseudo-headers."""

    stream_id: int
    method: str
    path: str
    headers: Fields
    body: bytes


@dataclass(frozen=True, slots=True)
class Reset:
    """A delivered request is void: the client cancelled it, or broke a rule on its stream."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Drained:
    """All bytes queued on the stream have been pulled."""

    stream_id: int


@dataclass(frozen=True, slots=True)
class Closed:
    """Nothing will be read any more: pull what is left (a GOAWAY), then close the transport.

    `kind`: left and drained are orderly; protocol, and the names in h2budget, are faults to count.
    """

    reason: str
    kind: str


Event = Request | Reset | Drained | Closed
