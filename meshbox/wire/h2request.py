"""From header fields to a request's head, by the rules of RFC 9113 section 8.

A head that breaks them is None: the stream is reset and the connection lives on.
"""

from __future__ import annotations

from typing import NamedTuple

from meshbox.wire.hpack import Field, Fields

UNKNOWN_LENGTH = -1
PSEUDO = frozenset((b":method", b":path", b":scheme", b":authority", b":protocol"))
# Headers that steer an HTTP/1 connection have no meaning here and smuggle requests past proxies. A name
# must be something.
STEERING = frozenset(
    (b"", b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"te")
)
NEVER_IN_NAMES = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ: \r\n\0"
# No URL the client is told to call is longer.
PATH_LIMIT = 4096
# More digits are no length anybody sends, and `int` would take its time over them.
LENGTH_DIGITS = 12


class Head(NamedTuple):
    """What is known of a request before its body: `length` is the declared one, or UNKNOWN_LENGTH."""

    method: str
    path: str
    headers: Fields
    length: int


def read_head(fields: list[Field]) -> Head | None:
    pseudo: dict[bytes, bytes] = {}
    headers: list[Field] = []
    length = UNKNOWN_LENGTH
    for field in fields:
        name, value = field
        if name[:1] == b":":
            if headers or name in pseudo or name not in PSEUDO:
                return None
            pseudo[name] = value
            continue
        if name in STEERING and not _is_harmless(name, value):
            return None
        if name == b"content-length":
            declared = _length(value)
            if declared is None or length not in (UNKNOWN_LENGTH, declared):
                return None
            length = declared
        headers.append(field)
    if not _is_clean(fields, headers):
        return None
    method, path = pseudo.get(b":method", b""), pseudo.get(b":path", b"")
    if not method.isalpha() or path[:1] != b"/" or len(path) > PATH_LIMIT or b":scheme" not in pseudo:
        return None
    if not (method.isascii() and path.isascii()) or b" " in path:
        return None
    return Head(method.decode(), path.decode(), tuple(headers), length)


def _is_clean(fields: list[Field], headers: list[Field]) -> bool:
    """Whether no name and no value holds a byte that could end it; all are looked through at once."""
    names = b"".join([name for name, _ in headers])
    values = b"".join([value for _, value in fields])
    if names.translate(None, NEVER_IN_NAMES) != names:
        return False
    return not (b"\n" in values or b"\r" in values or b"\0" in values)


def _is_harmless(name: bytes, value: bytes) -> bool:
    return name == b"te" and value == b"trailers"


def _length(value: bytes) -> int | None:
    if not value.isdigit() or len(value) > LENGTH_DIGITS:
        return None
    return int(value)
