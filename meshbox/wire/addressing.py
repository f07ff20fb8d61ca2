"""Addresses as clients write them: "ip:port" endpoints and "ip/bits" prefixes (Go's net/netip).

Whatever leaves here is canonical and can be read by every client. That is a duty, not tidiness: one
endpoint or prefix that Go cannot parse makes a peer's client refuse the whole network map.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from meshbox.errors import Malformed

Prefix = IPv4Network | IPv6Network

LONGEST_ENDPOINT = len("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535")
LONGEST_PREFIX = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128")

CACHED_TEXTS = 8192
"""Nodes repeat their endpoints and routes with every report; reading an address anew costs ten times
as much as finding it here."""


def reachable_endpoint(endpoint: str) -> str | None:
    """The endpoint in canonical form, or None when no peer could ever send to it.

    Clients do report such addresses: link-local ones, which mean another host on each network, and
    zoned ones, which mean nothing elsewhere.
    """
    # Asked outside the cache, or a few thousand texts of a megabyte would live in it.
    return None if len(endpoint) > LONGEST_ENDPOINT else _reachable_endpoint(endpoint)


@lru_cache(CACHED_TEXTS)
def _reachable_endpoint(endpoint: str) -> str | None:
    host, colon, port = endpoint.rpartition(":")
    if not colon or not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 0xFFFF):
        return None
    bracketed = host[:1] == "[" and host[-1:] == "]"
    try:
        address: IPv4Address | IPv6Address = IPv6Address(host[1:-1]) if bracketed else IPv4Address(host)
    except ValueError:
        return None
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return None
        address = address.ipv4_mapped or address
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return None
    if address == IPv4Address("255.255.255.255"):
        return None
    return f"{address}:{int(port)}" if address.version == 4 else f"[{address}]:{int(port)}"


def parse_prefix(prefix: str) -> Prefix:
    """The prefix without host bits (clients skip rules and routes that have any). Raises Malformed."""
    if len(prefix) > LONGEST_PREFIX:
        raise Malformed(f"{prefix[:LONGEST_PREFIX]!r}... is not a prefix")
    return _parse_prefix(prefix)


@lru_cache(CACHED_TEXTS)
def _parse_prefix(prefix: str) -> Prefix:
    address, slash, bits = prefix.partition("/")
    # ip_network would also take a netmask, or an address alone; Go takes neither.
    if not slash or "%" in address or not (bits.isascii() and bits.isdigit()):
        raise Malformed(f"{prefix!r} is not a prefix")
    try:
        return ip_network((ip_address(address), int(bits)), strict=False)
    except ValueError:
        raise Malformed(f"{prefix!r} is not a prefix") from None
