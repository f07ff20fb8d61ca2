"""Which ports of a device are open to whom, as sets: the whole of a policy for one destination.

`Openings` lays the rules that reach a destination over each other, so that two policies can be compared by
what they let through and not by how they are written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from meshbox.policy.compiled import Compiled
from meshbox.policy.filter import own_devices
from meshbox.policy.index import Index
from meshbox.policy.rules import AnyRule, Rule, SelfRule
from meshbox.policy.services import ALL_PORTS, DEFAULT_PROTOCOLS, WITH_PORTS, PortRange
from meshbox.policy.sight import View, bit, ids
from meshbox.policy.sources import Source
from meshbox.policy.spans import Family, Span

ICMP = frozenset({1, 58})
Cell = tuple[int, int, int]
"""(protocol, first port, last port)."""


@dataclass(frozen=True, slots=True)
class Opening:
    """One rule as far as it reaches a destination: who may send what."""

    senders: View
    protocol: int | None
    ports: tuple[PortRange, ...]

    def cells(self) -> Iterable[Cell]:
        protocols = DEFAULT_PROTOCOLS if self.protocol is None else (self.protocol,)
        for protocol in protocols:
            if protocol in WITH_PORTS:
                yield from ((protocol, first, last) for first, last in self.ports)
            elif protocol in ICMP or ALL_PORTS in self.ports:
                # Clients do not look at the ports of ICMP, and of other protocols want them all.
                yield (protocol, *ALL_PORTS)


Openings = tuple[Opening, ...]


class Doors:
    """All openings of a policy. `rules` are the ones looked at."""

    def __init__(self, compiled: Compiled, rules: Iterable[AnyRule] | None = None) -> None:
        self.index: Index = compiled.index
        self._rules = tuple(compiled.table.rules if rules is None else rules)
        self._senders: dict[tuple[int, Family], View] = {}
        self._with: dict[Family, View] = {4: 0, 6: 0}
        for device in self.index.devices.values():
            for address in device.addresses:
                self._with[address.version] |= bit(device.id)
        self._reaching = self._find_reaching()

    def of_device(self, device_id: int) -> Openings:
        """What of a device itself is open; the device is among its own senders."""
        found: dict[Opening, None] = {}
        for rule in self._reaching.get(device_id, ()):
            if isinstance(rule, SelfRule):
                senders, _ = rule.sides(own_devices(self.index, device_id))
                found[Opening(senders, rule.protocol, rule.ports)] = None
                continue
            for span in self.index.spans_of(device_id):
                ports = tuple(
                    one
                    for dest, ranges in zip(rule.dests, rule.ports, strict=True)
                    if dest.contains(span)
                    for one in ranges
                )
                if ports:
                    senders = self._senders_of(rule.source, span.family)
                    found[Opening(senders, rule.protocol, ports)] = None
        return tuple(found)

    def of_network(self, spans: tuple[Span, ...]) -> Openings:
        """What is open at all of these addresses, which are nobody's own."""
        found: dict[Opening, None] = {}
        for rule in self._rules:
            if isinstance(rule, SelfRule) or rule.caps is not None or rule.is_silent:
                continue
            if rule.via is not None and not all(rule.via & self.index.carriers(span) for span in spans):
                continue
            ports = tuple(
                one
                for dest, ranges in zip(rule.dests, rule.ports, strict=True)
                if all(dest.contains(span) for span in spans)
                for one in ranges
            )
            if ports:
                found[Opening(rule.source.covered, rule.protocol, ports)] = None
        return tuple(found)

    def _find_reaching(self) -> dict[int, list[AnyRule]]:
        found: dict[int, list[AnyRule]] = {}
        for rule in self._rules:
            for device_id in ids(receivers(self.index, rule)):
                found.setdefault(device_id, []).append(rule)
        return found

    def _senders_of(self, source: Source, family: Family) -> View:
        """The devices of a source that have an address of the family in it."""
        key = id(source), family
        found = self._senders.get(key)
        if found is None:
            found = self.index.everyone if source.is_all else source.nodes
            for span in source.literals:
                if span.family == family:
                    found |= self.index.devices_in(span)
            found = self._senders[key] = found & self._with[family]
        return found


def receivers(index: Index, rule: AnyRule) -> View:
    """The devices of which a rule may open something: not those that only carry it on to others."""
    if rule.caps is not None:
        return 0
    if isinstance(rule, Rule):
        return 0 if rule.is_silent or rule.via is not None else rule.receivers
    found = 0
    for own in index.by_user.values():
        found |= rule.sides(own & ~index.tagged)[1]
    return found


def changes(old: Openings, new: Openings) -> tuple[dict[Cell, View], dict[Cell, View]]:
    """Cell -> who could and no longer can, and who can and could not. No two cells overlap."""
    lost: dict[Cell, View] = {}
    gained: dict[Cell, View] = {}
    before, after = _laid_out(old), _laid_out(new)
    for protocol in before.keys() | after.keys():
        left, right = before.get(protocol, []), after.get(protocol, [])
        edges = sorted({edge for first, last, _ in (*left, *right) for edge in (first, last + 1)})
        for first, following in pairwise(edges):
            had, has = _at(left, first), _at(right, first)
            if had & ~has:
                lost[protocol, first, following - 1] = had & ~has
            if has & ~had:
                gained[protocol, first, following - 1] = has & ~had
    return lost, gained


def _laid_out(openings: Openings) -> dict[int, list[tuple[int, int, View]]]:
    found: dict[int, dict[PortRange, View]] = {}
    for opening in openings:
        for protocol, first, last in opening.cells():
            ranges = found.setdefault(protocol, {})
            ranges[first, last] = ranges.get((first, last), 0) | opening.senders
    return {
        protocol: [(*ports, senders) for ports, senders in ranges.items()]
        for protocol, ranges in found.items()
    }


def _at(ranges: list[tuple[int, int, View]], port: int) -> View:
    found = 0
    for first, last, senders in ranges:
        if first <= port <= last:
            found |= senders
    return found
