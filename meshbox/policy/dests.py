"""The destination side of a rule: which devices receive it, and what of it each is sent.

A device is sent the entries that contain an address of its own, overlap a subnet route it is approved for,
or, on an approved exit node, lie in the internet. An entry is sent as it is written, never clipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from meshbox.policy.index import Index
from meshbox.policy.ranges import EVERYTHING, INTERNET, INTERNET_SET
from meshbox.policy.resolve import Resolver
from meshbox.policy.selectors import Selector
from meshbox.policy.sight import View, bit, ids
from meshbox.policy.spans import Span, span_of_address, span_of_prefix

_NOBODY = Selector("shared", "autogroup:shared")


@dataclass(frozen=True, slots=True)
class Place:
    """One device as a receiver: its own addresses, the networks behind it, and whether it is an exit."""

    id: int
    addresses: tuple[Span, ...]
    routes: tuple[Span, ...]
    is_exit: bool

    def receives(self, span: Span) -> bool:
        return (
            any(span.covers(own) for own in self.addresses)
            or any(span.overlaps(route) for route in self.routes)
            or (self.is_exit and INTERNET_SET.covers(span))
        )

    def routes_to(self, span: Span) -> bool:
        """Would a packet to the span be routed through this device, not only arrive at it?"""
        return any(span.overlaps(route) for route in self.routes) or (
            self.is_exit and INTERNET_SET.covers(span)
        )


def place_of(index: Index, device_id: int) -> Place:
    device = index.devices[device_id]
    return Place(
        device_id,
        index.spans_of(device_id),
        tuple(map(span_of_prefix, device.subnet_routes)),
        bool(device.exit_routes) or device.is_connector,
    )


class Dest:
    """One selector as a destination. `self` is not one: it depends on the receiver (policy/rules.py)."""

    def __init__(self, resolver: Resolver, selector: Selector) -> None:
        self.index: Index = resolver.index
        self.selector = selector
        self.is_any = selector.kind == "any"
        self.spans: tuple[Span, ...] = () if self.is_any else resolver.spans(selector)
        self.nodes: View = 0 if self.is_any or self.spans else resolver.nodes(selector)

    @classmethod
    def of(cls, resolver: Resolver, nodes: View, spans: tuple[Span, ...]) -> Dest:
        """The devices and addresses themselves, whatever selectors meant them."""
        new = cls(resolver, _NOBODY)
        new.nodes, new.spans = nodes, spans
        return new

    def after(self, index: Index, device_id: int, is_meant: bool) -> Dest:
        """The same destination once one device, which routes nothing, came, went or changed."""
        device = index.devices.get(device_id)
        is_there = device is not None and (
            self.is_any
            or is_meant
            or any(span.contains(one.version, int(one)) for span in self.spans for one in device.addresses)
        )
        own = bit(device_id)
        if not is_there and not (self.nodes | self.receivers) & own:
            return self
        new: Dest = object.__new__(Dest)
        new.__dict__.update(self.__dict__, index=index)
        new.nodes = self.nodes & ~own | (own if is_meant else 0)
        new.__dict__["receivers"] = self.receivers & ~own | (own if is_there else 0)
        return new

    @cached_property
    def receivers(self) -> View:
        if self.is_any:
            return self.index.everyone
        found = self.index.closure(self.nodes)
        for span in self.spans:
            found |= self.index.devices_in(span) | self.index.carriers(span)
        return found

    @cached_property
    def routers(self) -> View:
        """The devices that route to it, for `via`: only literals are routed to. `*` is no destination that
        a rule could be sent for, unless there is a route."""
        found = 0
        for span in EVERYTHING if self.is_any else self.spans:
            found |= self.index.carriers(span)
        return found

    def texts(self, place: Place) -> list[str]:
        """The IP entries of DstPorts that this device is sent."""
        if self.is_any:
            return ["*"]
        literal = [span.text for span in self.spans if place.receives(span)]
        return [own.text for own in self._own(place)] + literal

    def routed_texts(self, place: Place) -> list[str]:
        """The same of a `via` rule: only what is routed through the device."""
        if self.is_any:
            return ["*"]
        return [span.text for span in self.spans if place.routes_to(span)]

    def prefixes(self, place: Place) -> list[str]:
        """Dsts of a CapGrant: the device's own addresses instead of a range that holds them, and whole
        prefixes that overlap its routes."""
        if self.is_any:
            return [_as_prefix(own) for own in place.addresses]
        found = [_as_prefix(own) for own in self._own(place)]
        for span in self.spans:
            found += [_as_prefix(own) for own in place.addresses if span.covers(own)]
            if any(span.overlaps(route) for route in place.routes):
                found += _prefixes_of(span)
        return list(dict.fromkeys(found))

    def covers_internet(self) -> bool:
        """Does it reach all of the internet, of one family at least? Then exit nodes may be used."""
        if self.is_any or self.selector.kind == "internet":
            return True
        return any(
            all(span.covers(part) for part in INTERNET if part.family == span.family) for span in self.spans
        )

    def overlaps_route(self, route: Span, inside: View) -> bool:
        """`inside` are the devices that have an address in the route: found once for all who are asked."""
        return bool(self.is_any or self.nodes & inside or any(span.overlaps(route) for span in self.spans))

    def contains(self, span: Span) -> bool:
        """Is the whole span a destination?"""
        if self.is_any or any(own.covers(span) for own in self.spans):
            return True
        return bool(self.nodes & self.index.devices_in(span)) and span.is_single

    def _own(self, place: Place) -> list[Span]:
        """Addresses of the devices meant that this device receives packets for."""
        found = list(place.addresses) if self.nodes & bit(place.id) else []
        for route in place.routes:
            for one in ids(self.nodes & self.index.devices_in(route) & ~bit(place.id)):
                for address in self.index.devices[one].addresses:
                    span = span_of_address(address)
                    if route.covers(span):
                        found.append(span)
        return found


def _as_prefix(span: Span) -> str:
    return f"{span.text}/{32 if span.family == 4 else 128}"


def _prefixes_of(span: Span) -> list[str]:
    """The span as prefixes; a range may need several."""
    if "/" in span.text:
        return [span.text]
    if span.is_single:
        return [_as_prefix(span)]
    return [str(prefix) for prefix in span.prefixes()]
