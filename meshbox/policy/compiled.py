"""A policy compiled for a tailnet: an immutable snapshot that answers for each device.

What a device is sent is worked out when it is first asked for and kept. `with_device` and
`without_device` give a new snapshot and carry over what the change does not touch; the result is the same
as compiling afresh.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property

from meshbox.policy.approve import approved_routes
from meshbox.policy.attrs import Caps, has_ipv4, peer_caps, self_caps, switches_ipv4
from meshbox.policy.document import EMPTY, Document
from meshbox.policy.filter import JsonRule, own_devices, placed_rules
from meshbox.policy.index import Index
from meshbox.policy.resolve import Resolver
from meshbox.policy.routeview import RouteView, Shown
from meshbox.policy.rules import SelfRule, Table
from meshbox.policy.sight import View, bit
from meshbox.policy.spans import Prefix
from meshbox.policy.ssh import Ssh
from meshbox.policy.visibility import Visibility
from meshbox.policy.world import Device, World


class Compiled:
    def __init__(self, resolver: Resolver, table: Table | None = None) -> None:
        self.resolver = resolver
        self.document = resolver.document
        self.index = resolver.index
        self.table = table or Table(resolver)
        self.visibility = Visibility(self.table)
        self.affected: View = self.index.everyone
        """The devices whose filter or SSH rules may differ from those of the snapshot before this one."""
        self._filters: dict[int, list[JsonRule]] = {}
        self._ipv4: dict[int, bool] | None = {} if switches_ipv4(self.document) else None
        """None: every device has IPv4, and need not be asked."""

    # What one device is sent

    def view(self, viewer: int, everyone: View) -> View:
        """Sight: the devices that `viewer` may see, itself among them."""
        if not self.index.everyone >> viewer & 1:
            return bit(viewer)
        return (self.visibility.view(viewer) | bit(viewer)) & everyone

    def filter(self, device_id: int) -> list[JsonRule]:
        """PacketFilter."""
        found = self._filters.get(device_id)
        if found is None:
            found = self._filters[device_id] = [rule for _, rule in self.placed_rules(device_id)]
        return found

    def placed_rules(self, device_id: int) -> list[tuple[int, JsonRule]]:
        """PacketFilter with the place of each rule in the policy, ascending. Not kept."""
        return placed_rules(self.table, device_id, self.visibility.received(device_id))

    @cached_property
    def routes(self) -> RouteView:
        return RouteView(self.table.rules, self.index)

    def shown_routes(self, viewer: int) -> Shown:
        """Router -> the routes that the viewer may use on it, of the routers it sees."""
        seen = self.visibility.view(viewer)
        shown = self.routes.shown(viewer, self.visibility.mark_of(viewer))
        return {router: routes for router, routes in shown.items() if seen >> router & 1}

    def usable_connectors(self, viewer: int) -> View:
        """The app connectors that the viewer sees and may reach the internet by."""
        if not self.index.connectors or viewer not in self.index.devices:
            return 0
        usable = self.routes.connectors(self.visibility.mark_of(viewer)) & self.visibility.view(viewer)
        return usable & ~bit(viewer)

    def self_caps(self, device_id: int) -> Caps:
        return self_caps(self.document, self.resolver, self.index.devices[device_id])

    def peer_caps(self, device_id: int) -> Caps:
        return peer_caps(self.index.devices[device_id])

    def has_ipv4(self, device_id: int) -> bool:
        if self._ipv4 is None:
            return True
        found = self._ipv4.get(device_id)
        if found is None:
            found = has_ipv4(self.document, self.resolver, self.index.devices[device_id])
            self._ipv4[device_id] = found
        return found

    @cached_property
    def ssh(self) -> Ssh:
        return Ssh(self.resolver)

    def approved_routes(self, device: Device) -> tuple[Prefix, ...]:
        return approved_routes(self.document, self.resolver, device)

    def shows_ipv4(self, viewer: int, peer: int) -> bool:
        """A device without IPv4 shows none of its own, and is shown none of its peers'."""
        return self.has_ipv4(viewer) and self.has_ipv4(peer)

    # Snapshots of the next moment

    def with_device(self, device: Device) -> Compiled:
        """The device came, or became another (its routes, owner, tags)."""
        known = self.index.devices.get(device.id)
        if known is None:
            return self._at(self.index.plus(device), device.id)
        if known == device:
            return self
        if _is_beside(known, device):
            return self._beside(device)
        return self._at(self.index.minus(device.id).plus(device), device.id)

    def without_device(self, device_id: int) -> Compiled:
        return self._at(self.index.minus(device_id), device_id)

    def is_small(self, device_id: int, device: Device | None) -> bool:
        """Is following this device (None: it goes) a small part of the cost of compiling?"""
        known = self.index.devices.get(device_id)
        if known is not None and device is not None and _is_beside(known, device):
            return True
        has_routes = any(one is not None and _routes(one) for one in (known, device))
        return self.table.can_follow and not has_routes and not self.index.routes_own_addresses

    def _beside(self, device: Device) -> Compiled:
        """The same, but the device is online or no longer, or carries its routes or no longer."""
        index = self.index.told(device)
        new: Compiled = object.__new__(Compiled)
        new.__dict__.update(self.__dict__, index=index, resolver=self.resolver.at(index), affected=0)
        if "routes" in self.__dict__:
            new.__dict__["routes"] = self.routes.at(index)
        return new

    def _at(self, index: Index, device_id: int) -> Compiled:
        """The same policy once one device changed."""
        resolver = self.resolver.at(index)
        if not self.table.can_follow or _routes_of(self.index, device_id) or _routes_of(index, device_id):
            return Compiled(resolver)
        if self.index.routes_own_addresses or index.routes_own_addresses:
            return Compiled(resolver)
        new = Compiled(resolver, self.table.after(resolver, device_id))
        new.visibility.follow(self.visibility, device_id)
        if "routes" in self.__dict__:
            # Routes belong to routers and rules; this device is no router.
            new.__dict__["routes"] = self.routes
        new.affected = new._affected_by(self, device_id)
        return new

    def _affected_by(self, old: Compiled, device_id: int) -> View:
        """Whose filter or SSH rules one device, which routes nothing, changed: those who receive a rule that
        names it as a source, and its owner's other devices."""
        found = 0
        has_self = False
        for before, rule in zip(old.table.rules, self.table.rules, strict=True):
            if isinstance(rule, SelfRule):
                has_self = True
            elif before is not rule and (before.source.nodes | rule.source.nodes) >> device_id & 1:
                found |= rule.receivers
        if has_self:
            found |= _siblings(old.index, device_id) | _siblings(self.index, device_id)
        if self.document.ssh:
            found |= self.ssh.affected_by(old.ssh, device_id)
        return found


def compile_policy(document: Document | None, world: World, index: Index | None = None) -> Compiled:
    """`document` None: no policy, everything is allowed. `index`: of the devices, where it is known already;
    those of the world are not looked at then."""
    return Compiled(Resolver(EMPTY if document is None else document, world, index))


def _routes_of(index: Index, device_id: int) -> bool:
    """Does the device carry or wait to carry anything for others?"""
    device = index.devices.get(device_id)
    return device is not None and _routes(device)


def _routes(device: Device) -> bool:
    return bool(device.routes) or device.is_connector


def _is_beside(known: Device, device: Device) -> bool:
    """Do the two differ in nothing that a rule looks at?"""
    return replace(known, is_online=device.is_online, carries=device.carries) == device


def _siblings(index: Index, device_id: int) -> View:
    return own_devices(index, device_id) if device_id in index.devices else 0
