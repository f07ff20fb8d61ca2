"""What a device is shown of the others: which of them, their routes, and whether their IPv4 addresses.

Devices that stand alike to the policy share one Outlook, and one that has not changed stays the same object:
what sessions are told is shared by it, and a session asks with one comparison whether anything is new.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from meshbox.policy.compiled import Compiled
from meshbox.policy.sight import View, bit
from meshbox.policy.spans import Prefix

Routes = tuple[Prefix, ...]
RoutedBy = tuple[tuple[int, Routes], ...]
"""Routers and the routes shown on each, by id."""


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Outlook:
    """`view` may hold the viewer itself: what is alike for many must not depend on one. `routers` are the
    devices in `routes`."""

    view: View = 0
    routes: Mapping[int, Routes] = field(default_factory=dict)
    routers: View = 0
    shows_ipv4: bool = True

    def rerouted(self, other: Outlook) -> set[int]:
        """The routers that another outlook shows otherwise."""
        if self.routes is other.routes:
            return set()
        mine, theirs = self.routes, other.routes
        return {router for router in mine.keys() | theirs.keys() if mine.get(router) != theirs.get(router)}


NO_ROUTES: Mapping[int, Routes] = {}
NOTHING = Outlook(routes=NO_ROUTES)
"""Of a device that is not let in (yet, or any more)."""


class Outlooks:
    """The outlooks of one snapshot of a policy. `interned` is shared by snapshots that follow each other."""

    def __init__(self, compiled: Compiled, interned: WeakValueDictionary[object, Outlook]) -> None:
        self._compiled = compiled
        self._interned = interned
        self._found: dict[object, Outlook] = {}
        self._of: dict[int, Outlook] = {}

    def of(self, viewer: int) -> Outlook:
        found = self._of.get(viewer)
        if found is None:
            found = self._of[viewer] = self._find(viewer)
        return found

    def _find(self, viewer: int) -> Outlook:
        compiled = self._compiled
        device = compiled.index.devices.get(viewer)
        if device is None:
            return NOTHING
        shows_ipv4 = compiled.has_ipv4(viewer)
        key = compiled.visibility.class_of(viewer), viewer if device.routes else 0, shows_ipv4
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = self._make(viewer, shows_ipv4)
        return found

    def _make(self, viewer: int, shows_ipv4: bool) -> Outlook:
        compiled = self._compiled
        view = compiled.visibility.class_view(viewer)
        shown = compiled.routes.shown(viewer, compiled.visibility.mark_of(viewer))
        routes = {router: routes for router, routes in shown.items() if view >> router & 1} or NO_ROUTES
        identity = view, tuple(sorted(routes.items())), shows_ipv4
        found = self._interned.get(identity)
        if found is None:
            found = Outlook(view, routes, sum(map(bit, routes)), shows_ipv4)
            self._interned[identity] = found
        return found
