"""Which router carries which approved route, as one viewer sees it.

For everybody the first router in line that is online carries a route. A viewer is shown it when a rule
lets the viewer reach into the route, or lets the route's hosts reach the viewer (they answer the same
way), or when the viewer serves the same route. A `via` grant instead picks among the routers with its
tags, for viewers that no plain rule lets in.

What a viewer is shown depends on how it stands to each rule and on nothing else of it, so it is kept by
that mark (policy/visibility.py), and it stays when a device that routes nothing comes or goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from meshbox.policy.dests import Dest
from meshbox.policy.index import Index
from meshbox.policy.rules import AnyRule, Rule
from meshbox.policy.sight import View, bit
from meshbox.policy.sources import Source
from meshbox.policy.spans import Prefix, span_of_prefix

Set = TypeVar("Set", Source, Dest)

Mark = int
"""How a device stands to the plain rules: bit 2n for sending by rule n, bit 2n+1 for receiving it."""
Shown = dict[int, tuple[Prefix, ...]]
"""Router -> the routes shown on it, exit routes last."""


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One route: the marks of those who are shown it on the carrier because of a plain rule, of those who are
    for answers only, and which `via` grants let whom use which tagged devices."""

    plain: Mark
    answers: Mark
    via: tuple[tuple[Mark, View], ...]


class RouteView:
    def __init__(self, rules: Iterable[AnyRule], index: Index) -> None:
        self.index = index
        self._rules = [rule for rule in rules if isinstance(rule, Rule)]
        # Thousands of rules share a few hundred sets, and each is asked about each route.
        self._by_source: dict[Source, Mark] = {}
        self._by_dest: dict[Dest, Mark] = {}
        for at, rule in enumerate(self._rules):
            if rule.via is None:
                _mark(self._by_source, rule.source, _receives(at))
                for dest in rule.dests:
                    _mark(self._by_dest, dest, _sends(at))
        self._routes: dict[Prefix, RouteRule] = {
            route: self._rule_of(route) for route in sorted(index.subnet_routes(), key=_order)
        }
        self._exit_plain: Mark = 0
        self._exit_via: list[tuple[Mark, View]] = []
        for at, rule in enumerate(self._rules):
            if rule.caps is None and any(dest.covers_internet() for dest in rule.dests):
                if rule.via is None:
                    self._exit_plain |= _sends(at)
                else:
                    self._exit_via.append((_sends(at), rule.via))
        self._shown: dict[tuple[Mark, int], Shown] = {}

    def at(self, index: Index) -> RouteView:
        """The same routes once a router went offline or came back."""
        new: RouteView = object.__new__(RouteView)
        new.__dict__.update(self.__dict__, index=index, _shown={})
        return new

    def shown(self, viewer: int, mark: Mark) -> Shown:
        """The routes that this viewer is shown; the viewer itself is not among the routers, and whether it
        sees them is for others to say."""
        # A device that joined since is not in this index: it routes nothing.
        device = self.index.devices.get(viewer)
        key = mark, viewer if device is not None and device.routes else 0
        found = self._shown.get(key)
        if found is None:
            found = self._shown[key] = self._find(viewer, mark)
        return found

    def _find(self, viewer: int, mark: Mark) -> Shown:
        found: dict[int, list[Prefix]] = {}
        for route, rule in self._routes.items():
            carrier = self._carrier(route, rule, viewer, mark)
            if carrier is not None and carrier != viewer:
                found.setdefault(carrier, []).append(route)
        exits = self._exits_for(mark) & ~bit(viewer)
        if exits:
            for route, routers in sorted(self.index.routers.items(), key=lambda one: _order(one[0])):
                for router in routers if not route.prefixlen else ():
                    if exits >> router & 1:
                        found.setdefault(router, []).append(route)
        return {router: tuple(routes) for router, routes in found.items()}

    def primary_routes(self, device_id: int) -> list[Prefix]:
        """The routes that a device carries for everybody."""
        return [route for route in self._routes if self.index.primary(route) == device_id]

    def connectors(self, mark: Mark) -> View:
        """The app connectors by which a device that stands so to the rules may reach the internet."""
        return self._exits_for(mark) & self.index.connectors

    def _carrier(self, route: Prefix, rule: RouteRule, viewer: int, mark: Mark) -> int | None:
        """The router on which the viewer is shown the route; None: on none."""
        index = self.index
        if rule.plain & mark:
            return index.primary(route)
        tagged = 0
        for senders, carriers in rule.via:
            if senders & mark:
                tagged |= carriers
        candidates = [one for one in index.routers[route] if tagged >> one & 1]
        if candidates:
            return next((one for one in candidates if index.devices[one].is_online), candidates[0])
        return index.primary(route) if rule.answers & mark or viewer in index.routers[route] else None

    def _exits_for(self, mark: Mark) -> View:
        """The exit nodes that the viewer may use."""
        exits = self.index.exits()
        if self._exit_plain & mark:
            return exits
        allowed = 0
        for senders, carriers in self._exit_via:
            if senders & mark:
                allowed |= carriers
        return exits & allowed

    def _rule_of(self, route: Prefix) -> RouteRule:
        span = span_of_prefix(route)
        inside = self.index.devices_in(span)
        plain = answers = 0
        for dest, mark in self._by_dest.items():
            if dest.overlaps_route(span, inside):
                plain |= mark
        for source, mark in self._by_source.items():
            if source.overlaps(span, inside):
                answers |= mark
        via = tuple(
            (_sends(at), rule.via)
            for at, rule in enumerate(self._rules)
            if rule.via is not None and any(dest.overlaps_route(span, inside) for dest in rule.dests)
        )
        return RouteRule(plain, answers, via)


def _sends(at: int) -> Mark:
    return 1 << 2 * at


def _receives(at: int) -> Mark:
    return 1 << 2 * at + 1


def _mark(marks: dict[Set, Mark], key: Set, mark: Mark) -> None:
    marks[key] = marks.get(key, 0) | mark


def _order(route: Prefix) -> tuple[int, int, int]:
    return route.version, int(route.network_address), route.prefixlen
