"""Devices by what selectors ask for: owner, tag, address, approved route. Sets of devices are integers.

Immutable: `plus` and `minus` give a new index, at the cost of copying the dictionaries (10,000 devices:
a tenth of a millisecond), so that a reader never sees half a change.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from typing import Any

from meshbox.policy.ranges import DEFAULT_ROUTES, INTERNET_SET
from meshbox.policy.selectors import fold_tag
from meshbox.policy.sight import View, bit
from meshbox.policy.spans import Family, Prefix, Span, span_of_address, span_of_prefix
from meshbox.policy.world import Device

_Places = dict[Family, list[tuple[int, int]]]
"""Per family (address, device id), sorted."""


class Index:
    """`routers` maps each approved route, exit routes too, to the devices that may carry it, first in
    line first; `with_routes` are the devices that have a subnet route, `connectors` those that are app
    connectors."""

    __slots__ = (
        "_over",
        "_places",
        "_spans",
        "by_tag",
        "by_user",
        "connectors",
        "devices",
        "everyone",
        "routers",
        "tagged",
        "with_routes",
    )

    def __init__(self, devices: Iterable[Device] = ()) -> None:
        self.devices: dict[int, Device] = {}
        self.by_user: dict[int, View] = {}
        self.by_tag: dict[str, View] = {}
        self.routers: dict[Prefix, tuple[int, ...]] = {}
        self.everyone: View = 0
        self.tagged: View = 0
        self.with_routes: View = 0
        self.connectors: View = 0
        self._places: _Places = {4: [], 6: []}
        self._spans: dict[int, tuple[Span, ...]] = {}
        self._over: tuple[tuple[View, View], ...] | None = None
        for device in devices:
            self._enter(device)
            for address in device.addresses:
                self._places[address.version].append((int(address), device.id))
        for places in self._places.values():
            places.sort()

    def spans_of(self, device_id: int) -> tuple[Span, ...]:
        """The addresses of a device, written once: a filter would spend its time on formatting IPv6."""
        found = self._spans.get(device_id)
        if found is None:
            found = self._spans[device_id] = tuple(map(span_of_address, self.devices[device_id].addresses))
        return found

    def plus(self, device: Device) -> Index:
        new = self._copy()
        new._enter(device)
        for address in device.addresses:
            places = new._places[address.version] = list(new._places[address.version])
            insort(places, (int(address), device.id))
        if self._over == () and not device.routes and not self._is_routed(device):
            new._over = ()
        return new

    def minus(self, device_id: int) -> Index:
        new = self._copy()
        device = new.devices.pop(device_id)
        new._spans.pop(device_id, None)
        away = ~bit(device_id)
        new.everyone &= away
        new.tagged &= away
        new.with_routes &= away
        new.connectors &= away
        if device.user_id is not None:
            _drop(new.by_user, device.user_id, away)
        for tag in {fold_tag(tag) for tag in device.tags}:
            _drop(new.by_tag, tag, away)
        for route in device.routes:
            rest = tuple(one for one in new.routers[route] if one != device_id)
            if rest:
                new.routers[route] = rest
            else:
                del new.routers[route]
        for address in device.addresses:
            places = new._places[address.version] = list(new._places[address.version])
            places.remove((int(address), device_id))
        if self._over == ():
            new._over = ()
        return new

    def told(self, device: Device) -> Index:
        """The same, but for its turn in line: whether one device is online, and what it carries."""
        new = self._copy()
        new.devices[device.id] = device
        for route in device.routes:
            new.routers[route] = new._in_line(route, new.routers[route])
        new._over = self._over
        return new

    def devices_in(self, span: Span) -> View:
        """The devices that have an address in the span."""
        places = self._places[span.family]
        found = 0
        first = bisect_left(places, (span.low, 0))
        for position in range(first, bisect_right(places, (span.high, 1 << 63))):
            found |= bit(places[position][1])
        return found

    def subnet_routes(self) -> list[Prefix]:
        """The approved routes in force that are not exit routes."""
        return [route for route in self.routers if route.prefixlen]

    def routers_overlapping(self, span: Span) -> View:
        """The devices with an approved subnet route that overlaps the span."""
        found = 0
        for route, routers in self.routers.items():
            if route.prefixlen and span_of_prefix(route).overlaps(span):
                for router in routers:
                    found |= bit(router)
        return found

    def exits(self) -> View:
        """The devices that the internet lies behind: with an approved exit route, or as app connectors."""
        found = self.connectors
        for text in DEFAULT_ROUTES:
            for router in self.routers.get(ip_network(text), ()):
                found |= bit(router)
        return found

    def carriers(self, span: Span) -> View:
        """The devices that packets to the span may be routed through."""
        found = self.routers_overlapping(span)
        return found | self.exits() if INTERNET_SET.covers(span) else found

    @property
    def routes_own_addresses(self) -> bool:
        """Does a subnet route hold the address of a device?"""
        self.closure(0)
        return bool(self._over)

    def _is_routed(self, device: Device) -> bool:
        """Does an address of the device lie in a subnet route?"""
        addresses = device.addresses
        return any(route.prefixlen and one in route for route in self.routers for one in addresses)

    def closure(self, nodes: View) -> View:
        """The devices, and the routers of a route in which one of them has its address. Seldom more than
        the devices themselves: a tailnet's addresses are seldom routed."""
        if self._over is None:
            over = []
            for route, routers in self.routers.items():
                inside = self.devices_in(span_of_prefix(route)) if route.prefixlen else 0
                if inside:
                    over.append((inside, sum(bit(one) for one in routers)))
            self._over = tuple(over)
        found = nodes
        for inside, carriers in self._over:
            if nodes & inside:
                found |= carriers
        return found

    def primary(self, route: Prefix) -> int:
        """Who carries the route for everybody: the first in line that is online; all offline, the first."""
        routers = self.routers[route]
        return next((one for one in routers if self.devices[one].is_online), routers[0])

    def _enter(self, device: Device) -> None:
        own = bit(device.id)
        self.devices[device.id] = device
        self.everyone |= own
        if device.tags:
            self.tagged |= own
            for tag in {fold_tag(tag) for tag in device.tags}:
                self.by_tag[tag] = self.by_tag.get(tag, 0) | own
        elif device.user_id is not None:
            self.by_user[device.user_id] = self.by_user.get(device.user_id, 0) | own
        if device.subnet_routes:
            self.with_routes |= own
        if device.is_connector:
            self.connectors |= own
        for route in device.routes:
            self.routers[route] = self._in_line(route, (*self.routers.get(route, ()), device.id))

    def _in_line(self, route: Prefix, routers: tuple[int, ...]) -> tuple[int, ...]:
        def place(one: int) -> tuple[bool, float, int]:
            device = self.devices[one]
            return route not in device.carries, device.created, one

        return tuple(sorted(routers, key=place))

    def _copy(self) -> Index:
        new = Index()
        new.devices = dict(self.devices)
        new.by_user = dict(self.by_user)
        new.by_tag = dict(self.by_tag)
        new.routers = dict(self.routers)
        new.everyone, new.tagged, new.with_routes = self.everyone, self.tagged, self.with_routes
        new.connectors = self.connectors
        new._places = dict(self._places)
        new._spans = dict(self._spans)
        return new


def _drop(sets: dict[Any, View], key: object, away: int) -> None:
    rest = sets.get(key, 0) & away
    if rest:
        sets[key] = rest
    else:
        sets.pop(key, None)


def union(sets: Mapping[int, View], keys: Iterable[int]) -> View:
    found = 0
    for key in keys:
        found |= sets.get(key, 0)
    return found
