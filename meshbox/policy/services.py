"""Protocols and ports of a rule: which packets it lets through.

A number in an `ip` list of a grant is a port, in `proto` of an acl it is a protocol.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ALL_PORTS = (0, 65535)
PROTOCOLS = {
    "icmp": 1, "igmp": 2, "ipv4": 4, "ip-in-ip": 4, "tcp": 6, "egp": 8, "igp": 9, "udp": 17, "gre": 47,
    "esp": 50, "ah": 51, "ipv6-icmp": 58, "sctp": 132, "fc": 133,
}  # fmt: skip
WITH_PORTS = frozenset({6, 17, 132})
DEFAULT_PROTOCOLS = frozenset({1, 6, 17, 58})
"""What clients read into a rule that names no protocol."""

PortRange = tuple[int, int]
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


class BadService(ValueError):
    """The message as the hosted service words it."""


@dataclass(frozen=True, slots=True)
class Service:
    """A protocol number, or None for the default ones, and its ports."""

    protocol: int | None
    ports: tuple[PortRange, ...]


def parse_protocol(text: str) -> int | None:
    """`proto` of an acl: a name or a decimal number; empty is the default. Raises BadService."""
    name = text.strip().lower()
    if not name:
        return None
    number = PROTOCOLS.get(name)
    if number is not None:
        return number
    if name.isdecimal() and name.isascii():
        if len(name) > 1 and name.startswith("0"):
            raise BadService(f'leading 0 not permitted in protocol number "{text}"')
        if len(name) <= 3 and 1 <= int(name) <= 255:
            return int(name)
    raise BadService(f'protocol "{text}" is not supported')


def parse_ports(text: str, protocol: int | None) -> tuple[PortRange, ...]:
    """`*`, `n`, `a-b` or several with commas. Raises BadService."""
    ranges = tuple(_parse_range(part.strip()) for part in text.split(","))
    if protocol is not None and protocol not in WITH_PORTS and ranges != (ALL_PORTS,):
        raise BadService(f'protocol does not support specific ports: "{protocol}", only "*" is allowed')
    return ranges


def _parse_range(text: str) -> PortRange:
    if text == "*":
        return ALL_PORTS
    first_text, dash, last_text = text.partition("-")
    first = _port(first_text)
    if first is None:
        raise BadService(f'port range "{text}": invalid first integer')
    last = _port(last_text) if dash else first
    if last is None:
        raise BadService(f'port range "{text}": invalid last integer')
    if first == 0:
        raise BadService(f"port range \"{text}\": first port must be >0, or use '*' for wildcard")
    if first > last:
        raise BadService(f'port range "{text}": first port must be <= last port')
    return first, last


def _port(text: str) -> int | None:
    number = int(text) if _NUMBER.fullmatch(text) else None
    return number if number is None or number <= 65535 else None


def parse_service(text: str) -> list[Service]:
    """One item of a grant's `ip`: `*`, `port`, `a-b`, `proto:*`, `proto:port`, also several with commas.
    Raises BadService."""
    found = []
    for part in text.split(","):
        name, colon, ports = part.strip().rpartition(":")
        protocol = parse_protocol(name) if colon else None
        if colon and protocol is None:
            raise BadService(f'protocol "{name}" is not supported')
        found.append(Service(protocol, parse_ports(ports, protocol)))
    return found
