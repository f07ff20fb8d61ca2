"""Questions to a client: tailcfg.PingRequest, and the HTTP/1 messages inside it ("c2n", control to node).

A PingRequest travels in a map message and names a URL to which the client sends its answer. With the type
`c2n` it carries an HTTP request for the client itself, and the answer is the raw HTTP response.

Source: tailcfg.PingRequest, tailcfg.PingResponse, feature/c2n (capability version 142).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Literal

from meshbox.errors import Malformed
from meshbox.wire.gojson import Json, flag, integer, line, parse_object

PingType = Literal["disco", "TSMP", "ICMP", "peerapi"]
PING_TYPES: tuple[PingType, ...] = ("disco", "TSMP", "ICMP", "peerapi")

HEAD_LIMIT = 16 << 10
"""Bytes of a response's status line and headers."""
TEXT_LIMIT = 512


@dataclass(frozen=True, slots=True)
class Response:
    """What the client's own handler said. The body's length is whatever was sent: none is declared."""

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The result of a ping that a client sent: to which node, how long it took, which way it went. `error` is
    empty when it arrived; `relay` when it went directly."""

    node: str
    seconds: float
    endpoint: str = ""
    relay: str = ""
    error: str = ""


def head_request(url: str) -> Json:
    """Let the client show that it hears us: it asks for `url` inside its tunnel."""
    return {"URL": url, "URLIsNoise": True}


def ping_request(url: str, kind: PingType, address: str) -> Json:
    """Let the client ping a peer and tell the result. Of a ping that fails nothing may come."""
    return {"URL": url, "URLIsNoise": True, "Types": kind, "IP": address}


def c2n_request(url: str, method: str, target: str, seconds: float) -> Json:
    """Let the client answer an HTTP request about itself, within so many seconds."""
    lines = f"{method} {target} HTTP/1.1\r\nHost: c2n\r\nC2n-Handler-Timeout: {seconds:.0f}s\r\n\r\n"
    payload = base64.b64encode(lines.encode("ascii")).decode()
    return {"URL": url, "URLIsNoise": True, "Types": "c2n", "Payload": payload}


def read_response(raw: bytes) -> Response:
    """Raises Malformed."""
    head, separator, body = raw.partition(b"\r\n\r\n")
    if not separator or len(head) > HEAD_LIMIT:
        raise Malformed("the answer is no HTTP response")
    first, *headers = head.decode("latin-1").split("\r\n")
    version, _, rest = first.partition(" ")
    status = rest[:3]
    if not version.startswith("HTTP/1.") or not (status.isascii() and status.isdigit() and len(status) == 3):
        raise Malformed("the answer is no HTTP response")
    fields = {
        name.strip().lower(): value.strip() for name, _, value in (one.partition(":") for one in headers)
    }
    return Response(int(status), fields.get("content-type", "")[:TEXT_LIMIT], body)


def read_pong(raw: bytes) -> Pong:
    """Raises Malformed."""
    document = parse_object(raw)
    seconds = document.get("LatencySeconds")
    region = integer(document, "DERPRegionID", 0, 0xFFFF)
    flag(document, "IsLocalIP")
    return Pong(
        node=line(document, "NodeName", TEXT_LIMIT),
        seconds=float(seconds) if type(seconds) in (int, float) else 0.0,  # type: ignore[arg-type]
        endpoint=line(document, "Endpoint", TEXT_LIMIT),
        relay=(line(document, "DERPRegionCode", TEXT_LIMIT) or str(region)) if region else "",
        error=line(document, "Err", TEXT_LIMIT),
    )
