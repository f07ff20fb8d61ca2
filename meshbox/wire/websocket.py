"""The server's half of a WebSocket that carries one byte stream, sans-IO.

Browser clients cannot send our upgrades, so control and relay also run inside a WebSocket. Message
borders carry no meaning there; only binary messages are allowed. No extension is negotiated: a
compressed stream of ciphertext helps nobody and a decompressor is a memory bomb.
Source: RFC 6455; control-protocol `/ts2021` as GET; tailscale net/wsconn.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping

from meshbox.errors import Malformed, TooLarge

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

FRAME_LIMIT = 64 * 1024
"""Bytes of one incoming frame; a length of 2^63 must not make us wait for it."""

MESSAGE_LIMIT = 32 * 1024
"""Bytes of one outgoing message: the browser client's library closes with 1009 above 32,768."""

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NORMAL, PROTOCOL_ERROR, UNSUPPORTED, TOO_BIG = 1000, 1002, 1003, 1009


def accept_upgrade(headers: Mapping[str, str], subprotocol: str) -> bytes:
    """The 101 answer to a WebSocket request (`headers` with lower-case names).

    Raises Malformed unless the subprotocol is among those offered. Any Origin is accepted: there are
    no cookies in this game, the stream inside authenticates itself.
    """
    key = headers.get("sec-websocket-key", "")
    offered = [part.strip() for part in headers.get("sec-websocket-protocol", "").split(",")]
    if headers.get("sec-websocket-version") != "13" or not _is_key(key):
        raise Malformed("this is not a WebSocket request of version 13")
    if subprotocol not in offered:
        raise Malformed(f"the WebSocket must offer the subprotocol {subprotocol}")
    accept = base64.b64encode(hashlib.sha1(key.encode() + GUID, usedforsecurity=False).digest()).decode()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {subprotocol}\r\n\r\n"
    ).encode()


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False


def wrap(data: bytes | memoryview) -> bytes:
    """The bytes as unmasked binary messages."""
    out = bytearray()
    view = memoryview(data)
    for start in range(0, len(view), MESSAGE_LIMIT):
        piece = view[start : start + MESSAGE_LIMIT]
        out += _header(BINARY, len(piece))
        out += piece
    return bytes(out)


def close_frame(code: int) -> bytes:
    return _header(CLOSE, 2) + struct.pack(">H", code)


class Frames:
    """What the client sends. `feed` returns stream bytes; `answers` are frames to send back.

    Raises Malformed or TooLarge with `close_code` set; send `close_frame(close_code)` then.
    After the client's close frame `is_closed` is true and `answers` ends with ours.
    """

    __slots__ = ("_buffer", "_in_message", "answers", "close_code", "is_closed")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._in_message = False
        self.answers = bytearray()
        self.close_code = NORMAL
        self.is_closed = False

    def feed(self, data: bytes) -> bytes:
        self._buffer += data
        out = bytearray()
        while not self.is_closed:
            frame = self._take_frame()
            if frame is None:
                break
            self._handle(frame[0], frame[1], frame[2], out)
        return bytes(out)

    def _take_frame(self) -> tuple[bool, int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        first, second = buffer[0], buffer[1]
        if first & 0x70:
            raise self._fault(PROTOCOL_ERROR, "a WebSocket extension that was never agreed")
        if not second & 0x80:
            raise self._fault(PROTOCOL_ERROR, "a WebSocket frame of the client is not masked")
        length, offset = second & 0x7F, 2
        if length > 125:
            wide = 2 if length == 126 else 8
            if len(buffer) < 2 + wide:
                return None
            length, offset = int.from_bytes(buffer[2 : 2 + wide], "big"), 2 + wide
        if length > FRAME_LIMIT:
            self.close_code = TOO_BIG
            raise TooLarge(f"a WebSocket frame of {length} bytes; the limit is {FRAME_LIMIT}")
        if len(buffer) < offset + 4 + length:
            return None
        mask = bytes(buffer[offset : offset + 4])
        payload = _unmask(bytes(buffer[offset + 4 : offset + 4 + length]), mask)
        del buffer[: offset + 4 + length]
        return bool(first & 0x80), first & 0x0F, payload

    def _handle(self, is_final: bool, opcode: int, payload: bytes, out: bytearray) -> None:
        if opcode in (BINARY, CONTINUATION):
            if (opcode == CONTINUATION) != self._in_message:
                raise self._fault(PROTOCOL_ERROR, "WebSocket fragments out of order")
            self._in_message = not is_final
            out += payload
            return
        if opcode == TEXT:
            raise self._fault(UNSUPPORTED, "only binary WebSocket messages are understood")
        if opcode not in (CLOSE, PING, PONG) or not is_final or len(payload) > 125:
            raise self._fault(PROTOCOL_ERROR, "a WebSocket control frame that is none")
        if opcode == PING:
            self.answers += _header(PONG, len(payload)) + payload
        elif opcode == CLOSE:
            self.answers += close_frame(NORMAL)
            self.is_closed = True

    def _fault(self, code: int, text: str) -> Malformed:
        self.close_code = code
        return Malformed(text)


def _header(opcode: int, length: int) -> bytes:
    first = 0x80 | opcode
    if length <= 125:
        return bytes((first, length))
    return struct.pack(">BBH", first, 126, length)


def _unmask(payload: bytes, mask: bytes) -> bytes:
    length = len(payload)
    if not length:
        return b""
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(key, "little")).to_bytes(length, "little")
