"""Hostinfo: what a device says about itself (tailcfg.Hostinfo, capability version 142).

All of it is the device's own word, and part of it is told to others. `peer_view` builds that part
anew from checked values, field by field, for three reasons: a value of a wrong type makes every peer's
client refuse its whole network map; some fields are for the control server alone to say (`ShareeNode`
hides a node from `tailscale status`); and 64 KiB from each of ten thousand nodes would drown all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from meshbox.errors import Malformed
from meshbox.wire.addressing import Prefix, parse_prefix
from meshbox.wire.gojson import (
    Json,
    child,
    compact,
    integer,
    items,
    line,
    omit_empty,
    one_line,
    parse_object,
    texts,
)

HOSTINFO_LIMIT = 64 * 1024
"""Bytes of one device's Hostinfo, compact. Kept for each node and each pending registration: without
a bound a stranger's fresh keys would fill the memory."""

ROUTE_LIMIT = 256
"""Routes taken from one node; the rest is left out. Each costs work in every peer that may use it. A
refusal would take an app connector off the tailnet for having learned one address too many."""

TAG_LIMIT = 50
TAG_LENGTH = 64

HOSTNAME_LIMIT = 253
OS_LIMIT = 64
CLIENT_VERSION_LIMIT = 128

PEER_HOSTINFO_LIMIT = 12 * 1024
"""Bytes at most of `peer_view`, by the sum of the limits below. With 64 endpoints and a name it keeps
what one node makes each of its peers hold under 16 KiB: what one tells, thousands must store."""

PEER_SERVICES = frozenset({"peerapi4", "peerapi6", "peerapi-dns-proxy"})
PEER_SERVICE_LIMIT = 16
HOST_KEY_LIMIT = 16
HOST_KEY_LENGTH = 1024
HOST_KEYS_TOTAL = 6 * 1024
PLACE_LIMIT = 64

TAG = re.compile(r"tag:[a-z][a-z0-9-]*")

# Peers write these into a known_hosts file: nothing but one plain line may come through.
_HOST_KEY = re.compile(r"[A-Za-z0-9@.-]+ [A-Za-z0-9+/=]+(?: [A-Za-z0-9@._-]*)?")


@dataclass(frozen=True, slots=True)
class Hostinfo:
    """One report of host facts.

    `full` is the device's JSON, compact; two reports say the same when it is equal, and only when it
    is not need anything else be looked at. `routable_ips` and `request_tags` are well-formed, distinct
    and capped, and nothing more: approving them is policy. `preferred_derp` 0 means "not said".
    `clipped` names what was cut to a limit, for the log.
    """

    full: bytes
    hostname: str = ""
    os: str = ""
    client_version: str = ""
    routable_ips: tuple[Prefix, ...] = ()
    request_tags: tuple[str, ...] = ()
    preferred_derp: int = 0
    clipped: tuple[str, ...] = ()

    @property
    def for_peers(self) -> bytes:
        """What peers are sent, as JSON. Computed at each use: ask only when `full` is new."""
        return peer_view(self.full)

    @property
    def for_self(self) -> bytes:
        """What the node itself is sent, as JSON."""
        return self_view(self.full, self.routable_ips)


def read_hostinfo(document: Json) -> Hostinfo:
    """The Hostinfo in its JSON object. Raises Malformed naming the field."""
    net_info = child(document, "NetInfo") or {}
    routes, is_cut = _routes(document)
    return Hostinfo(
        full=_full(document, routes),
        hostname=line(document, "Hostname", HOSTNAME_LIMIT),
        os=line(document, "OS", OS_LIMIT),
        client_version=line(document, "IPNVersion", CLIENT_VERSION_LIMIT),
        routable_ips=routes,
        request_tags=tuple(tag for tag in request_tags(document) if TAG.fullmatch(tag)),
        preferred_derp=integer(net_info, "PreferredDERP", 0, 0xFFFF),
        clipped=("routes",) if is_cut else (),
    )


def request_tags(document: Json) -> tuple[str, ...]:
    """The wanted tags as they were sent, each once; their form is not checked."""
    wanted = texts(document, "RequestTags", TAG_LENGTH)
    if len(wanted) > TAG_LIMIT:
        raise Malformed(f"RequestTags has {len(wanted)} tags; at most {TAG_LIMIT} are allowed")
    return tuple(dict.fromkeys(wanted))


def peer_view(full: bytes) -> bytes:
    """The part of a stored Hostinfo that peers are sent: at most PEER_HOSTINFO_LIMIT bytes of JSON
    that every client can read, whatever the device put there."""
    return compact(_peer_fields(parse_object(full)))


def self_view(full: bytes, routes: Iterable[Prefix]) -> bytes:
    """What peers see, with the routes (as last reported) and the tags the node asked for."""
    document = parse_object(full)
    wanted = document.get("RequestTags")
    tags = [tag for tag in wanted if type(tag) is str and TAG.fullmatch(tag)] if type(wanted) is list else []
    asked = omit_empty({"RoutableIPs": [str(route) for route in routes], "RequestTags": tags[:TAG_LIMIT]})
    return compact(_peer_fields(document) | asked)


def _full(document: Json, routes: tuple[Prefix, ...]) -> bytes:
    full = compact(document)
    if len(full) > HOSTINFO_LIMIT:
        # A busy server may list thousands of open ports, an app connector thousands of learned
        # routes. Nobody here needs them: they go first.
        services = list(_peer_services(document.get("Services")))
        full = compact(document | {"Services": services, "RoutableIPs": [str(route) for route in routes]})
    if len(full) > HOSTINFO_LIMIT:
        raise Malformed(f"Hostinfo has {len(full)} bytes; at most {HOSTINFO_LIMIT} are allowed")
    return full


def _routes(document: Json) -> tuple[tuple[Prefix, ...], bool]:
    """The advertised prefixes, each once, and whether there were too many."""
    routes: dict[Prefix, None] = {}
    for written in items(document, "RoutableIPs"):
        if type(written) is not str:
            raise Malformed("RoutableIPs is not a list of texts")
        if not written:  # Go's zero prefix.
            continue
        route = _route(written)
        if len(routes) == ROUTE_LIMIT and route not in routes:
            return tuple(routes), True
        routes[route] = None
    return tuple(routes), False


def _route(route: str) -> Prefix:
    try:
        return parse_prefix(route)
    except Malformed as problem:
        raise Malformed(f"RoutableIPs: {problem}") from None


def _peer_fields(document: Json) -> Json:
    """Never raises: what does not fit is left out."""
    return omit_empty(
        {
            "OS": _words(document.get("OS"), OS_LIMIT),
            "Hostname": _words(document.get("Hostname"), HOSTNAME_LIMIT),
            "Services": list(_peer_services(document.get("Services"))),
            "sshHostKeys": list(_host_keys(document.get("sshHostKeys"))),
            "AppConnector": document.get("AppConnector") is True,
            "Location": _location(document.get("Location")),
        }
    )


def _words(value: object, limit: int) -> str:
    return one_line(value, limit) if type(value) is str else ""


def _peer_services(services: object) -> Iterator[Json]:
    found = 0
    for service in services if type(services) is list else ():
        if type(service) is not dict:
            continue
        proto, port = service.get("Proto"), service.get("Port")
        if type(proto) is str and proto in PEER_SERVICES and type(port) is int and 0 < port <= 0xFFFF:
            yield {"Proto": proto, "Port": port}
            found += 1
            if found == PEER_SERVICE_LIMIT:
                return


def _host_keys(keys: object) -> Iterator[str]:
    room = HOST_KEYS_TOTAL
    for key in keys[:HOST_KEY_LIMIT] if type(keys) is list else ():
        if type(key) is not str or len(key) > min(room, HOST_KEY_LENGTH):
            continue
        key = key.strip()
        if _HOST_KEY.fullmatch(key):
            room -= len(key)
            yield key


def _location(location: object) -> Json:
    if type(location) is not dict:
        return {}
    names = ("Country", "CountryCode", "City", "CityCode")
    fields: Json = {name: _words(location.get(name), PLACE_LIMIT) for name in names}
    for name, limit in (("Latitude", 90.0), ("Longitude", 180.0)):
        degrees = location.get(name)
        if type(degrees) is int or type(degrees) is float:
            fields[name] = degrees if abs(degrees) <= limit else None
    priority = location.get("Priority")
    if type(priority) is int and 0 < priority <= 0x7FFF_FFFF:
        fields["Priority"] = priority
    return omit_empty(fields)
