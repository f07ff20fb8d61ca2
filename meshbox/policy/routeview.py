"""Which router carries which approved route, as one viewer sees it.

For everybody the first router in line that is online carries a route. A viewer is shown it when a rule
lets the viewer reach into the route, or lets the route's hosts reach the viewer (they answer the same
way), or when the viewer serves the same route. A `via` grant instead picks among the routers with its
tags, for viewers that no plain rule lets in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from meshbox.policy.index import Index
from meshbox.policy.rules import AnyRule, Rule
from meshbox.policy.sight import View, bit
from meshbox.policy.spans import Prefix, span_of_prefix


@dataclass(frozen=True, slots=True)
class RouteRule:
    """One route: who is shown it on the carrier because of a plain rule, who for answers only, and which
    `via` grants let whom use which tagged devices."""

    routers: tuple[int, ...]
    primary: int
    plain: View
    answers: View
    via: tuple[tuple[View, View], ...]

    def carrier_for(self, viewer: int, index: Index) -> int | None:
        """The router on which the viewer is shown the route; None: on none."""
        if self.plain >> viewer & 1:
            return self.primary
        tagged = 0
        for senders, carriers in self.via:
            if senders >> viewer & 1:
                tagged |= carriers
        candidates = [one for one in self.routers if tagged >> one & 1]
        if candidates:
            return next((one for one in candidates if index.devices[one].is_online), candidates[0])
        return self.primary if self.answers >> viewer & 1 else None


class RouteView:
    def __init__(self, rules: Iterable[AnyRule], index: Index) -> None:
        self.index = index
        self._rules = [rule for rule in rules if isinstance(rule, Rule)]
        self._routes: dict[Prefix, RouteRule] = {
            route: self._rule_of(route) for route in sorted(index.subnet_routes(), key=_order)
        }
        internet = [
            rule
            for rule in self._rules
            if rule.caps is None and any(dest.covers_internet() for dest in rule.dests)
        ]
        self._exit_plain: View = 0
        for rule in internet:
            if rule.via is None:
                self._exit_plain |= rule.source.reach
        self._exit_via = [(rule.source.reach, rule.via) for rule in internet if rule.via is not None]

    def shown(self, viewer: int) -> dict[int, list[Prefix]]:
        """Router -> the routes that this viewer is shown on it, exit routes last; the viewer itself is not
        among them, and whether it sees the router is for others to say."""
        found: dict[int, list[Prefix]] = {}
        for route, rule in self._routes.items():
            carrier = rule.carrier_for(viewer, self.index)
            if carrier is not None and carrier != viewer:
                found.setdefault(carrier, []).append(route)
        exits = self.exits_for(viewer) & ~bit(viewer)
        if exits:
            for route, routers in sorted(self.index.routers.items(), key=lambda one: _order(one[0])):
                for router in routers if not route.prefixlen else ():
                    if exits >> router & 1:
                        found.setdefault(router, []).append(route)
        return found

    def exits_for(self, viewer: int) -> View:
        """The exit nodes that the viewer may use."""
        exits = self.index.exits()
        if self._exit_plain >> viewer & 1:
            return exits
        allowed = 0
        for senders, carriers in self._exit_via:
            if senders >> viewer & 1:
                allowed |= carriers
        return exits & allowed

    def primary_routes(self, device_id: int) -> list[Prefix]:
        """The routes that a device carries for everybody."""
        return [route for route, rule in self._routes.items() if rule.primary == device_id]

    def _rule_of(self, route: Prefix) -> RouteRule:
        span = span_of_prefix(route)
        routers = self.index.routers[route]
        plain = answers = 0
        via = []
        for rule in self._rules:
            if any(dest.overlaps_route(span) for dest in rule.dests):
                if rule.via is None:
                    plain |= rule.source.reach
                else:
                    via.append((rule.source.reach, rule.via))
            if rule.via is None and rule.source.overlaps(span):
                answers |= rule.receivers
        for router in routers:
            answers |= bit(router)
        return RouteRule(routers, self.index.primary(route), plain, answers, tuple(via))


def _order(route: Prefix) -> tuple[int, int, int]:
    return route.version, int(route.network_address), route.prefixlen
