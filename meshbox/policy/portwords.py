"""Ports for people: `22,80-90`, `udp:53`, `*`, from single ranges of single protocols."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.policy.services import ALL_PORTS, DEFAULT_PROTOCOLS, PROTOCOLS, PortRange

TCP, UDP = PROTOCOLS["tcp"], PROTOCOLS["udp"]
_NAMES = {number: name for name, number in reversed(PROTOCOLS.items())}


def write_ports(cells: Iterable[tuple[int, int, int]]) -> str:
    """Of (protocol, first port, last port). What a rule without a protocol opens is written as in one:
    ICMP goes with TCP and UDP and is named only when it is alone."""
    ranges: dict[int, list[PortRange]] = {}
    for protocol, first, last in sorted(cells):
        ranges.setdefault(protocol, []).append((first, last))
    joined = {protocol: _joined(found) for protocol, found in ranges.items()}
    words = []
    if joined.get(TCP) and joined.get(TCP) == joined.get(UDP):
        words.append(_write(joined[TCP]))
        for protocol in DEFAULT_PROTOCOLS:
            joined.pop(protocol, None)
    if joined.keys() >= {1, 58}:
        del joined[58]
    words += [
        f"{_NAMES.get(protocol, protocol)}:{_write(found)}" for protocol, found in sorted(joined.items())
    ]
    return " ".join(words)


def _joined(found: list[PortRange]) -> list[PortRange]:
    whole: list[PortRange] = []
    for first, last in found:
        if whole and first <= whole[-1][1] + 1:
            whole[-1] = whole[-1][0], max(last, whole[-1][1])
        else:
            whole.append((first, last))
    return whole


def _write(found: list[PortRange]) -> str:
    if found == [ALL_PORTS] or found == [(1, ALL_PORTS[1])]:
        return "*"
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in found)
