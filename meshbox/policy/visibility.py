"""Who sees whom: A and B see each other when a rule that one of them receives has the other as a source.

That is a relation between two sets per rule, its senders and its receivers, so it is symmetric by
construction. Devices that stand alike to every rule form a class, and a view is computed once per class:
10,000 devices are a few thousand classes.
"""

from __future__ import annotations

from itertools import chain

from meshbox.policy.filter import own_devices
from meshbox.policy.index import Index
from meshbox.policy.rules import Rule, SelfRule, Table
from meshbox.policy.sight import View, bit

Class = tuple[str, int]
"""How a device stands to each rule, two digits for each: is it a sender, is it a receiver; and whose it is
where that matters, else 0."""


class Visibility:
    def __init__(self, table: Table) -> None:
        self.index: Index = table.resolver.index
        rules = table.rules
        self.pairs = [(rule.source.reach, rule.receivers) for rule in rules if isinstance(rule, Rule)]
        self.self_rules = [rule for rule in rules if isinstance(rule, SelfRule)]
        self._views: dict[Class, tuple[int, View]] = {}
        """Class -> one of its devices, and what they all see."""
        self._classes: dict[int, Class] | None = None

    def view(self, device_id: int) -> View:
        """The devices this one sees, itself not among them."""
        return self.class_view(device_id) & ~bit(device_id)

    def class_view(self, device_id: int) -> View:
        """What all devices of its class see, in one integer; themselves perhaps among them."""
        own_class = self.class_of(device_id)
        found = self._views.get(own_class)
        if found is None:
            found = self._views[own_class] = device_id, self._compute(own_class, device_id)
        return found[1]

    def mark_of(self, device_id: int) -> int:
        """How the device stands to the plain rules, as policy/routeview.py reads it."""
        return int(self.class_of(device_id)[0][::-1] or "0", 2)

    def class_of(self, device_id: int) -> Class:
        if self._classes is None:
            self._classes = self._classify()
        found = self._classes.get(device_id)
        if found is None:
            mark = "".join("01"[side >> device_id & 1] for side in chain.from_iterable(self.pairs))
            found = self._classes[device_id] = mark, self._user_of(device_id)
        return found

    def follow(self, old: Visibility, device_id: int) -> None:
        """Take over what `old` knew, this one differing from it by one device."""
        if old._classes is None:
            return
        self._classes = dict(old._classes)
        self._classes.pop(device_id, None)
        own = bit(device_id)
        seen = self.view(device_id) if self.index.everyone & own else 0
        was_there = bool(old.index.everyone & own)
        sees = bin(seen)[:1:-1]
        for known, kept in old._views.items():
            member, view = kept
            if member == device_id or known in self._views:
                continue
            if sees[member : member + 1] == "1":
                self._views[known] = member, view | own
            else:
                self._views[known] = (member, view & ~own) if was_there else kept

    def _classify(self) -> dict[int, Class]:
        """All devices at once: the sets turned from one row per rule to one column per device."""
        devices = self.index.devices
        width = max(devices, default=0) + 1
        rows = [format(side, f"0{width}b")[::-1] for side in chain.from_iterable(self.pairs)]
        if not rows:
            return {one: ("", self._user_of(one)) for one in devices}
        return {
            one: ("".join(column), self._user_of(one))
            for one, column in enumerate(zip(*rows, strict=True))
            if one in devices
        }

    def _user_of(self, device_id: int) -> int:
        device = self.index.devices[device_id]
        return 0 if device.tags or not self.self_rules else device.user_id or 0

    def _compute(self, own_class: Class, device_id: int) -> View:
        found = 0
        mark = own_class[0]
        at = mark.find("1")
        while at >= 0:
            senders, receivers = self.pairs[at >> 1]
            found |= senders if at & 1 else receivers
            at = mark.find("1", at + 1)
        own = own_devices(self.index, device_id) if self.self_rules else 0
        for rule in self.self_rules:
            sources, receivers = rule.sides(own)
            if sources >> device_id & 1:
                found |= receivers
            if receivers >> device_id & 1:
                found |= sources
        return found
