"""The request head of an HTTP/1.1 connection, read by us before anybody else sees it.

`parse_head` takes what has arrived so far and gives a RequestHead once the blank line is there.
It is stricter than RFC 9112 allows us to be: a head that two parsers could read differently
(two lengths, length and chunks, bare line breaks, folded lines) is refused here, because the bytes
go on to aiohttp or to a proxy's other end, which may decide otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_address
from urllib.parse import unquote

from meshbox.errors import Malformed, TooLarge

HEAD_LIMIT = 16 * 1024
"""Bytes of request line and headers. A head that never ends fills memory; ours are below 1 KiB."""

HEADER_COUNT_LIMIT = 100
"""Ten thousand one-letter headers fit in a few KiB and cost a dictionary entry each."""

LENGTH_DIGITS = 12
"""More digits than any body we take; int() of a long digit string is quadratic."""

TOKEN = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
TARGET = re.compile(r"/[!-~]*")
VERSIONS = (b"HTTP/1.1", b"HTTP/1.0")
END = b"\r\n\r\n"

Network = IPv4Network | IPv6Network


class HeadTooLarge(TooLarge):
    status = 431


@dataclass(frozen=True, slots=True)
class RequestHead:
    """`headers` has lower-case names, repeated ones joined by a comma. `raw` ends with the blank
    line. `peer` is the client's address after the trusted-proxy rule."""

    method: str
    target: str
    headers: dict[str, str]
    raw: bytes
    peer: str = ""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def has_token(self, header: str, token: str) -> bool:
        """Does a comma-separated header (`Connection: keep-alive, Upgrade`) contain the token?"""
        return token in (part.strip().lower() for part in self.headers.get(header, "").split(","))


def parse_head(buffer: bytes | bytearray) -> RequestHead | None:
    """The head at the start of the buffer, or None while it is incomplete.

    Raises Malformed (400) and HeadTooLarge (431); both mean that the connection ends.
    """
    end = buffer.find(END, 0, HEAD_LIMIT + len(END))
    if end < 0:
        if len(buffer) > HEAD_LIMIT:
            raise HeadTooLarge(f"the request head is longer than {HEAD_LIMIT} bytes")
        return None
    lines = bytes(buffer[:end]).split(b"\r\n")
    if len(lines) - 1 > HEADER_COUNT_LIMIT:
        raise HeadTooLarge(f"more than {HEADER_COUNT_LIMIT} headers")
    method, target = _request_line(lines[0])
    headers = _headers(lines[1:])
    _check_length(headers)
    return RequestHead(method, target, headers, bytes(buffer[: end + len(END)]))


def client_address(headers: Mapping[str, str], peer: str, trusted: Iterable[Network]) -> str:
    """The address the request really came from (`headers` with lower-case names, or in any case).

    A forwarding header counts only when the socket's peer is a trusted proxy; then the rightmost
    entry that is not itself a trusted proxy is the client, because everything left of it is hearsay.
    """
    trusted = tuple(trusted)
    forwarded = headers.get("x-forwarded-for") or headers.get("x-real-ip", "")
    if not forwarded or not is_within(peer, trusted):
        return peer
    client = peer
    for entry in reversed(forwarded.split(",")):
        address = _bare_address(entry.strip())
        if address is None:
            return client
        client = address
        if not is_within(address, trusted):
            return client
    return client


def short_answer(status: int, text: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """A complete plain-text response that ends the connection."""
    body = (text + "\n").encode()
    lines = [
        f"HTTP/1.1 {status} {_phrase(status)}",
        "Content-Type: text/plain; charset=utf-8",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join(lines).encode() + END + body


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase


def _request_line(line: bytes) -> tuple[str, str]:
    parts = line.split(b" ")
    if len(parts) != 3 or not TOKEN.fullmatch(parts[0]) or parts[2] not in VERSIONS:
        raise Malformed("the request line is not METHOD /path HTTP/1.1")
    target = parts[1].decode("latin-1")
    # Absolute form is for proxies; ours is an origin, and two ideas of the host are one too many.
    if not TARGET.fullmatch(target):
        raise Malformed("the request target must be a path that starts with /")
    path = unquote(target.partition("?")[0], errors="replace")
    if ".." in path.replace("\\", "/").split("/"):
        raise Malformed("the path contains ..")
    return parts[0].decode(), target


def _headers(lines: list[bytes]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        # A name with a space or a line that starts with one (folding) is how requests are smuggled.
        if not colon or not TOKEN.fullmatch(name):
            raise Malformed("a header line is not NAME: value")
        if b"\0" in value or b"\r" in value or b"\n" in value:
            raise Malformed("a header value contains a control character")
        try:
            text = value.strip(b" \t").decode()
        except UnicodeDecodeError:
            raise Malformed("a header value is not UTF-8") from None
        key = name.decode().lower()
        if key == "content-length" and key in headers:
            raise Malformed("more than one Content-Length")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _check_length(headers: dict[str, str]) -> None:
    length, encoding = headers.get("content-length"), headers.get("transfer-encoding")
    if encoding is not None and encoding.lower() != "chunked":
        raise Malformed("the only Transfer-Encoding understood is chunked")
    if length is None:
        return
    if encoding is not None:
        raise Malformed("Content-Length together with Transfer-Encoding")
    if not (length.isascii() and length.isdigit() and len(length) <= LENGTH_DIGITS):
        raise Malformed("Content-Length is not a number")


def is_within(address: str, networks: tuple[Network, ...]) -> bool:
    """An IPv4 address counts as itself when it comes mapped into IPv6. What is no address is nowhere."""
    if not networks:
        return False
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return any((mapped or parsed) in network for network in networks)


def _bare_address(text: str) -> str | None:
    """`192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1` or `[2001:db8::1]:4711` without its port."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
