"""The relay protocol on the wire (tailscale derp/derp.go), version 2.

A frame is one byte of type, four bytes of big-endian length and the body. The client speaks HTTP
first; then the server sends ServerKey, the client ClientInfo, the server ServerInfo, and from
there on both send what the table below allows. A key is the 32 bytes of a node's public key.

    type  name           from      body
    01    ServerKey      server    8 bytes of magic, key of the server
    02    ClientInfo     client    key of the client, 24 bytes nonce, box of JSON
    03    ServerInfo     server    24 bytes nonce, box of JSON
    04    SendPacket     client    key of the destination, packet
    05    RecvPacket     server    key of the source, packet
    06    KeepAlive      server    nothing
    07    NotePreferred  client    1 byte: 1 this relay is my home, 0 it is not
    08    PeerGone       server    key, 1 byte reason
    09    PeerPresent    server    key, 16 bytes address, 2 bytes port, 1 byte flags   (to mesh peers)
    0A    ForwardPacket  mesh peer key of the source, key of the destination, packet
    10    WatchConns     mesh peer nothing
    11    ClosePeer      mesh peer key
    12    Ping           both      8 bytes, possibly more
    13    Pong           both      the same 8 bytes
    14    Health         server    UTF-8 text of a problem; empty: all is well again
    15    Restarting     server    4 bytes reconnect-after ms, 4 bytes try-for ms

Other types are skipped, whatever their length. SendPacket and RecvPacket of one packet have the same
length: the relay turns one into the other where it lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from ipaddress import ip_address
from struct import Struct

from meshbox.errors import Malformed
from meshbox.wire.keys import KEY_BYTES

PROTOCOL_VERSION = 2
MAGIC = b"DERP\xf0\x9f\x94\x91"
NONCE_BYTES = 24
PING_BYTES = 8

MAX_PACKET = 64 * 1024
"""Bytes of one packet. derpprobe sends packets of this size, so a smaller limit would show us as broken."""

MAX_CLIENT_INFO = 16 * 1024
"""A stranger chooses this length before proving anything; the real thing has about 100 bytes."""

MAX_PING = 1000
"""As the official relay; the bytes after the first eight are read and forgotten."""

MAX_TO_CLIENT = 1024 * 1024
"""Clients hang up on a longer frame, so ours (mesh links, tests) does too."""


class FrameType(IntEnum):
    SERVER_KEY = 0x01
    CLIENT_INFO = 0x02
    SERVER_INFO = 0x03
    SEND_PACKET = 0x04
    RECV_PACKET = 0x05
    KEEP_ALIVE = 0x06
    NOTE_PREFERRED = 0x07
    PEER_GONE = 0x08
    PEER_PRESENT = 0x09
    FORWARD_PACKET = 0x0A
    WATCH_CONNS = 0x10
    CLOSE_PEER = 0x11
    PING = 0x12
    PONG = 0x13
    HEALTH = 0x14
    RESTARTING = 0x15


class GoneReason(IntEnum):
    DISCONNECTED = 0
    """Was connected to this relay and left."""
    NOT_HERE = 1
    """The answer to a packet for somebody who is not connected here."""


class PresentFlags(IntFlag):
    """What a relay is told of a client of another."""

    REGULAR = 1
    MESH_PEER = 2
    PROBER = 4
    NOT_IDEAL = 8
    """It came here because the relay it wanted did not answer."""


BODY_LIMITS: dict[int, tuple[int, int]] = {
    FrameType.CLIENT_INFO: (KEY_BYTES + NONCE_BYTES, MAX_CLIENT_INFO),
    FrameType.SEND_PACKET: (KEY_BYTES, KEY_BYTES + MAX_PACKET),
    FrameType.FORWARD_PACKET: (2 * KEY_BYTES, 2 * KEY_BYTES + MAX_PACKET),
    FrameType.NOTE_PREFERRED: (1, 1),
    FrameType.WATCH_CONNS: (0, 0),
    FrameType.CLOSE_PEER: (KEY_BYTES, KEY_BYTES),
    FrameType.PING: (PING_BYTES, MAX_PING),
    FrameType.PONG: (PING_BYTES, MAX_PING),
}
"""Least and greatest body length of what a client may send. A server hangs up outside of them."""

HEADER = Struct(">BI")
HEADER_BYTES = HEADER.size

DISCO_MAGIC = b"TS\xf0\x9f\x92\xac"
DISCO_LEAST = len(DISCO_MAGIC) + KEY_BYTES + NONCE_BYTES
"""Path discovery looks like this (tailscale disco/disco.go): magic, key of the sender, nonce."""

KEEP_ALIVE = HEADER.pack(FrameType.KEEP_ALIVE, 0)


@dataclass(frozen=True, slots=True)
class Frame:
    kind: int
    body: bytes


def encode(kind: int, *parts: bytes | memoryview) -> bytes:
    """One frame; the body is the parts in their order."""
    body = b"".join(parts)
    return HEADER.pack(kind, len(body)) + body


def server_key(public: bytes) -> bytes:
    return encode(FrameType.SERVER_KEY, MAGIC, public)


def peer_gone(key: bytes, reason: GoneReason) -> bytes:
    return encode(FrameType.PEER_GONE, key, bytes([reason]))


def peer_present(key: bytes, presence: bytes) -> bytes:
    """`presence` is as `presence_of` gives it."""
    return encode(FrameType.PEER_PRESENT, key, presence)


def presence_of(address: str, port: int, flags: int) -> bytes:
    """Address (IPv4 as ::ffff:a.b.c.d; zeros when it is not one), port and flags of a client: 19 bytes."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        packed = bytes(16)
    else:
        packed = parsed.packed if parsed.version == 6 else bytes(10) + b"\xff\xff" + parsed.packed
    return packed + port.to_bytes(2, "big") + bytes([flags])


def pong(echo: bytes) -> bytes:
    return encode(FrameType.PONG, echo)


def health(problem: str) -> bytes:
    """What the client shows as a warning about this relay; "" takes the warning back."""
    return encode(FrameType.HEALTH, problem.encode())


def is_disco(packet: bytes | memoryview) -> bool:
    return len(packet) >= DISCO_LEAST and bytes(packet[: len(DISCO_MAGIC)]) == DISCO_MAGIC


def check_length(kind: int, length: int) -> None:
    """Raise Malformed if a client's frame of a known type may not have this length."""
    limits = BODY_LIMITS.get(kind)
    if limits is not None and not limits[0] <= length <= limits[1]:
        raise Malformed(f"relay frame {kind:#04x} with a body of {length} bytes")


class FrameReader:
    """Bytes in, frames out: the side that is not in a hurry (handshakes, links to other relays, tests)."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, limit: int = MAX_TO_CLIENT) -> None:
        self._buffer = bytearray()
        self._limit = limit

    def feed(self, data: bytes | memoryview) -> Iterator[Frame]:
        """Every frame that is complete now. Raises Malformed at a frame longer than the limit, before
        anything is kept for it."""
        self._buffer += data
        while len(self._buffer) >= HEADER_BYTES:
            kind, length = HEADER.unpack_from(self._buffer)
            if length > self._limit:
                raise Malformed(f"relay frame {kind:#04x} announces {length} bytes")
            end = HEADER_BYTES + length
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield Frame(kind, body)
