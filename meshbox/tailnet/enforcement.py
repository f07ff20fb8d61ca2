"""The policy in force over the nodes that are here, and what it means for each of them.

Nodes come and change all the time, and each time the compiled policy takes a step (policy/compiled.py).
Steps are taken when somebody asks, several at once: a thousand nodes that join within a second cost a few.
Whose filter a step changed goes into the changes log like everything else, so a session asks with one bit
whether its own must be looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from weakref import WeakValueDictionary

from meshbox.policy.attrs import Caps, Pool, address_pool, all_pools, switches_ipv4
from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.connectors import App, apps
from meshbox.policy.document import Document
from meshbox.policy.outlook import Outlook, Outlooks
from meshbox.policy.sight import View
from meshbox.policy.spans import Prefix
from meshbox.policy.world import Device, World
from meshbox.tailnet.changes import Changes, Common, Fact

STEPS_AT_MOST = 48
"""Devices followed one by one. Of more, compiling afresh is cheaper (10,000 nodes, 300 rules: 2 ms each
against 60 ms, as many for the views, and the filters of everybody, which then may all be others)."""


class Enforcement:
    """`people()` gives everybody, `world()` everything too, `device(node_id)` one node as the policy sees it,
    None when it is not here or not let in. `document` None: no policy, everybody may reach everybody."""

    def __init__(
        self,
        changes: Changes,
        people: Callable[[], World],
        world: Callable[[], World],
        device: Callable[[int], Device | None],
    ) -> None:
        self._changes = changes
        self._people = people
        self._world = world
        self._device = device
        self._document: Document | None = None
        self._is_stale = True
        self._dirty: set[int] = set()
        self._compiled: Compiled | None = None
        self._carriers: dict[Prefix, int] = {}
        self._interned: WeakValueDictionary[object, Outlook] = WeakValueDictionary()
        self._outlooks: Outlooks | None = None
        self.apps: tuple[App, ...] = ()

    @property
    def document(self) -> Document | None:
        return self._document

    def enforce(self, document: Document | None) -> None:
        """Another policy from now on."""
        self._document = document
        self.apps = apps(document) if document is not None else ()
        self._is_stale = True
        self._changes.append_common(Common.POLICY)

    def people_changed(self) -> None:
        """Who people are, in which groups, with which role. Any rule may depend on it; no rule, nothing."""
        if self._document is not None:
            self._is_stale = True
            self._changes.append_common(Common.POLICY)

    def touch(self, node_id: int) -> None:
        """The node came, went, or became another in something a policy looks at."""
        self._dirty.add(node_id)

    @property
    def compiled(self) -> Compiled:
        """As of now. What asking brings about stands in the changes log afterwards."""
        if self._compiled is None or self._is_stale:
            return self._compile(self._compiled)
        if self._dirty:
            return self._follow(self._compiled)
        return self._compiled

    def outlook(self, viewer: int) -> Outlook:
        """What a node is shown of the others; NOTHING for one that is not let in."""
        compiled = self.compiled
        outlooks = self._outlooks
        if outlooks is None:
            outlooks = self._outlooks = Outlooks(compiled, self._interned)
        return outlooks.of(viewer)

    def self_caps(self, node_id: int) -> Caps:
        """What the policy gives the node; nothing to one that is not let in."""
        compiled = self.compiled
        return compiled.self_caps(node_id) if node_id in compiled.index.devices else {}

    def connectors(self, viewer: int) -> View:
        """The app connectors that the node may use."""
        return self.compiled.usable_connectors(viewer) if self.apps else 0

    def address_pools(self, device: Device) -> tuple[Pool, Pool]:
        """Where a device that joins takes its IPv4 address from (empty: from anywhere), and all networks that
        are some devices' own."""
        pools = all_pools(self._document) if self._document is not None else ()
        if self._document is None or not pools:
            return (), ()
        # Of people and rules as of now; the devices that joined a moment ago need not be followed for it.
        if self._compiled is None or self._is_stale:
            self._compile(self._compiled)
        assert self._compiled is not None
        return address_pool(self._document, self._compiled.resolver, device), pools

    def _compile(self, old: Compiled | None) -> Compiled:
        self._is_stale = False
        if old is None or self._dirty or self.apps or old.index.connectors:
            self._dirty.clear()
            new = self._afresh()
        else:
            # Other rules or people over the same devices; putting those together is half of the cost.
            new = compile_policy(self._document, self._people(), old.index)
        if old is not None and (switches_ipv4(old.document) or switches_ipv4(new.document)):
            for node_id in old.index.devices.keys() & new.index.devices.keys():
                if old.has_ipv4(node_id) != new.has_ipv4(node_id):
                    self._changes.append(node_id, Fact.WHOLE)
        return self._adopt(new)

    def _follow(self, old: Compiled) -> Compiled:
        touched = {node_id: self._device(node_id) for node_id in self._dirty}
        self._dirty.clear()
        rivals = self._rivals(old, touched)
        devices = {one: self._carrying(self._device(one)) for one in sorted({*touched, *rivals})}
        small = all(old.is_small(node_id, device) for node_id, device in devices.items())
        if len(devices) == 1 or (small and len(devices) <= STEPS_AT_MOST):
            new, affected = _steps(old, devices)
        else:
            new = self._afresh()
            affected = new.affected
        if affected:
            self._changes.append_affected(affected)
        for router in rivals:
            self._changes.append(router, Fact.STANDING)
        return self._adopt(new)

    def _afresh(self) -> Compiled:
        world = self._world()
        devices = {one: self._carrying(device) or device for one, device in world.devices.items()}
        return compile_policy(self._document, replace(world, devices=devices))

    def _carrying(self, device: Device | None) -> Device | None:
        """With what it carries: a router that took over keeps a route when the first one comes back, because
        every change breaks the connections that go through it."""
        if device is not None and device.is_connector:
            # What a device says of itself must not bring it rules that name others.
            is_named = any(app.is_served_by(device) for app in self.apps)
            device = replace(device, is_connector=is_named)
        if device is None or not device.routes:
            return device
        return replace(
            device, carries=tuple(one for one in device.routes if self._carriers.get(one) == device.id)
        )

    def _rivals(self, compiled: Compiled, touched: Mapping[int, Device | None]) -> set[int]:
        """The routers that carry, or wait to carry, a route of these devices: another may be primary now."""
        index = compiled.index
        old_and_new = (*touched.values(), *map(index.devices.get, touched))
        routes = {route for one in old_and_new if one is not None for route in one.routes}
        waiting = {router for route in routes for router in index.routers.get(route, ())}
        return waiting | {one for one, device in touched.items() if device is not None and device.routes}

    def _adopt(self, compiled: Compiled) -> Compiled:
        if compiled is self._compiled:
            # A node became another in nothing that a rule looks at.
            return compiled
        self._compiled = compiled
        self._outlooks = None
        index = compiled.index
        self._carriers = {
            route: index.primary(route) for route, line in index.routers.items() if len(line) > 1
        }
        return compiled


def _steps(compiled: Compiled, devices: Mapping[int, Device | None]) -> tuple[Compiled, View]:
    """Follow devices one after the other; also whom that affects."""
    affected = 0
    for node_id, device in devices.items():
        if device is not None:
            step = compiled.with_device(device)
        elif node_id in compiled.index.devices:
            step = compiled.without_device(node_id)
        else:
            continue
        affected |= 0 if step is compiled else step.affected
        compiled = step
    return compiled, affected
