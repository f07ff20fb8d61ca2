"""The name a TLS client asks for, read from its first bytes (RFC 8446 4.1.2, RFC 6066 3).

Nothing is decided about the handshake here; whoever gets the bytes in the end parses them properly. So
anything odd is simply "no name".
"""

from __future__ import annotations

from collections.abc import Iterator

RECORD_HEAD = 5
HELLO_LIMIT = 17 * 1024
"""Bytes after which a hello that is not complete has no name for us: one full record and some."""

_HANDSHAKE, _CLIENT_HELLO, _SERVER_NAME, _HOST_NAME = 22, 1, 0, 0


class Incomplete(Exception):
    """More bytes are needed."""


def server_name(received: bytes | bytearray) -> str:
    """The host name in lower case, "" when there is none. Raises Incomplete while it may still come."""
    if received and received[0] != _HANDSHAKE:
        return ""
    try:
        return _name(_handshake_body(received))
    except (IndexError, UnicodeDecodeError):
        return ""


def _handshake_body(received: bytes | bytearray) -> memoryview:
    """The hello out of its records: a client may cut it into several."""
    body, at = bytearray(), 0
    while True:
        if len(body) >= 4:
            wanted = 4 + int.from_bytes(body[1:4], "big")
            if wanted > HELLO_LIMIT:
                raise IndexError
            if len(body) >= wanted:
                return memoryview(bytes(body[4:wanted])) if body[0] == _CLIENT_HELLO else memoryview(b"")
        if len(received) >= HELLO_LIMIT:
            raise IndexError
        if len(received) < at + RECORD_HEAD:
            raise Incomplete
        length = int.from_bytes(received[at + 3 : at + RECORD_HEAD], "big")
        end = at + RECORD_HEAD + length
        if received[at] != _HANDSHAKE or not length:
            raise IndexError
        if len(received) < end:
            raise Incomplete
        body += received[at + RECORD_HEAD : end]
        at = end


def _name(hello: memoryview) -> str:
    at = 2 + 32
    at += 1 + hello[at]
    at += 2 + _length(hello, at)
    at += 1 + hello[at]
    for kind, content in _extensions(hello[at:]):
        if kind == _SERVER_NAME and content[2] == _HOST_NAME:
            return bytes(content[5 : 5 + _length(content, 3)]).decode("ascii").lower()
    return ""


def _extensions(rest: memoryview) -> Iterator[tuple[int, memoryview]]:
    at, end = 2, 2 + _length(rest, 0)
    while at + 4 <= end:
        length = _length(rest, at + 2)
        yield _length(rest, at), rest[at + 4 : at + 4 + length]
        at += 4 + length


def _length(data: memoryview, at: int) -> int:
    return data[at] << 8 | data[at + 1]
