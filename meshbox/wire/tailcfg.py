"""Requests that clients send inside the tunnel (tailcfg, capability version 142), as values.

Everything here is a claim: the only thing a tunnel proves is its machine key. Parsing is lenient
about unknown fields and strict about types and sizes; every refusal is Malformed, safe to show.

What is cut and what is refused: a field that a sound client may overfill (endpoints, routes, names)
is cut to its limit; anything else over its limit is refused and the previous value stays.
"""

from __future__ import annotations

from dataclasses import dataclass

from meshbox.errors import Malformed
from meshbox.wire.addressing import reachable_endpoint
from meshbox.wire.gojson import (
    Json,
    child,
    flag,
    integer,
    items,
    moment,
    parse_object,
    text,
)
from meshbox.wire.hostinfo import TAG, Hostinfo, read_hostinfo, request_tags
from meshbox.wire.keys import DiscoKey, NodeKey

__all__ = [
    "CAP_ADMIN",
    "CAP_AUTO_UPDATE",
    "CAP_FILE_SHARING",
    "CAP_HTTPS",
    "CAP_SSH",
    "CAP_SUBDOMAINS",
    "Hostinfo",
    "MapRequest",
    "RegisterRequest",
    "parse_map",
    "parse_register",
]

CAP_ADMIN = "https://tailscale.com/cap/is-admin"
CAP_SUBDOMAINS = "dns-subdomain-resolve"
CAP_HTTPS = "https"
CAP_SSH = "https://tailscale.com/cap/ssh"
CAP_AUTO_UPDATE = "default-auto-update"
CAP_FILE_SHARING = "https://tailscale.com/cap/file-sharing"

VERSION_LIMIT = 0xFFFF
AUTH_KEY_LIMIT = 512
FOLLOWUP_LIMIT = 512
COMPRESS_LIMIT = 16

ENDPOINT_LIMIT = 64
"""Endpoints kept of one node: every peer probes each of them. Clients list them from the farthest and
most dependable to the nearest, so the first ones are the ones to keep."""

ENDPOINTS_READ = 512
"""Endpoints looked at: a megabyte of them would hold up everyone else."""


@dataclass(frozen=True, slots=True)
class RegisterRequest:
    """A device asks to come in, to stay, or to leave (`expiry` in the past).

    `node_key` may be zero, which no node can have. `expiry` is in seconds since the epoch, None
    without a wish.
    """

    version: int
    node_key: NodeKey
    old_node_key: NodeKey | None = None
    auth_key: str | None = None
    expiry: float | None = None
    followup: str = ""
    hostinfo: Hostinfo | None = None
    ephemeral: bool = False


@dataclass(frozen=True, slots=True)
class MapRequest:
    """A node asks for the network map (`stream`), or reports news of itself (`omit_peers`).

    `endpoints` are canonical "ip:port" texts in the client's order, with one entry of
    `endpoint_types` each. `clipped` names what was cut to a limit, for the log.
    """

    version: int
    node_key: NodeKey
    disco_key: DiscoKey | None = None
    stream: bool = False
    omit_peers: bool = False
    read_only: bool = False
    compress: str = ""
    keep_alive: bool = False
    hostinfo: Hostinfo | None = None
    endpoints: tuple[str, ...] = ()
    endpoint_types: tuple[int, ...] = ()
    clipped: tuple[str, ...] = ()


def parse_register(body: bytes) -> RegisterRequest:
    """The RegisterRequest in the body of POST /machine/register. Raises Malformed."""
    document = parse_object(body)
    auth = child(document, "Auth") or {}
    return RegisterRequest(
        version=integer(document, "Version", 0, VERSION_LIMIT),
        node_key=_node_key(document, "NodeKey"),
        old_node_key=_present(_node_key(document, "OldNodeKey")),
        # People paste keys with the line break that came along.
        auth_key=text(auth, "AuthKey", AUTH_KEY_LIMIT).strip() or None,
        expiry=moment(document, "Expiry"),
        followup=text(document, "Followup", FOLLOWUP_LIMIT),
        hostinfo=_registering_hostinfo(document),
        ephemeral=flag(document, "Ephemeral"),
    )


def parse_map(body: bytes) -> MapRequest:
    """The MapRequest in the body of POST /machine/map. Raises Malformed."""
    document = parse_object(body)
    described = child(document, "Hostinfo")
    hostinfo = None if described is None else read_hostinfo(described)
    endpoints, is_cut = _endpoints(document)
    clipped = hostinfo.clipped if hostinfo else ()
    return MapRequest(
        version=integer(document, "Version", 0, VERSION_LIMIT),
        node_key=_node_key(document, "NodeKey"),
        disco_key=_disco_key(document),
        stream=flag(document, "Stream"),
        omit_peers=flag(document, "OmitPeers"),
        read_only=flag(document, "ReadOnly"),
        compress=text(document, "Compress", COMPRESS_LIMIT),
        keep_alive=flag(document, "KeepAlive"),
        hostinfo=hostinfo,
        endpoints=tuple(endpoints),
        endpoint_types=tuple(endpoints.values()),
        clipped=(*clipped, "endpoints") if is_cut else clipped,
    )


def _registering_hostinfo(document: Json) -> Hostinfo | None:
    """A registration is answered to a person: a tag that can never be is said so at once. In a map
    request it is passed over, since a refusal there would cut off a node for an old typing error."""
    described = child(document, "Hostinfo")
    if described is None:
        return None
    for tag in request_tags(described):
        if not TAG.fullmatch(tag):
            raise Malformed(
                f"requested tag {tag!r} is not a tag: write tag: and lower-case letters, digits and dashes"
            )
    return read_hostinfo(described)


def _node_key(document: Json, name: str) -> NodeKey:
    """The key; zero when absent."""
    value = document.get(name)
    if value is None:
        return NodeKey.zero()
    if type(value) is not str:
        raise Malformed(f"{name} is not a text")
    return NodeKey.parse(value)


def _present(key: NodeKey) -> NodeKey | None:
    return None if key.is_zero else key


def _disco_key(document: Json) -> DiscoKey | None:
    value = document.get("DiscoKey")
    if value is None:
        return None
    if type(value) is not str:
        raise Malformed("DiscoKey is not a text")
    key = DiscoKey.parse(value)
    return None if key.is_zero else key


def _endpoints(document: Json) -> tuple[dict[str, int], bool]:
    """Endpoint -> type, in the client's order, each endpoint once; and whether any were cut off."""
    offered = items(document, "Endpoints")
    types = items(document, "EndpointTypes")
    kept: dict[str, int] = {}
    for index, endpoint in enumerate(offered[:ENDPOINTS_READ]):
        if type(endpoint) is not str:
            raise Malformed("Endpoints is not a list of texts")
        reachable = reachable_endpoint(endpoint)
        if reachable is None or reachable in kept:
            continue
        if len(kept) == ENDPOINT_LIMIT:
            return kept, True
        kind = types[index] if index < len(types) else 0
        kept[reachable] = kind if type(kind) is int and 0 <= kind <= 0xFF else 0
    return kept, len(offered) > ENDPOINTS_READ
