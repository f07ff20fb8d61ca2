"""Who sees whom: A and B see each other when a rule that one of them receives has the other as a source.

That is a relation between two sets per rule, its senders and its receivers, so it is symmetric by
construction. Devices that stand alike to every rule form a class, and a view is computed once per class:
10,000 devices are a few thousand classes.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.policy.filter import own_devices
from meshbox.policy.index import Index
from meshbox.policy.rules import AnyRule, Rule, SelfRule
from meshbox.policy.sight import View, bit

Class = tuple[str, int]
"""How a device stands to each rule ("1" sender, "2" receiver, "3" both), and whose it is where that
matters, else 0."""


class Visibility:
    def __init__(self, rules: Iterable[AnyRule], index: Index) -> None:
        self.index = index
        self.pairs = [(rule.source.reach, rule.receivers) for rule in rules if isinstance(rule, Rule)]
        self.self_rules = [rule for rule in rules if isinstance(rule, SelfRule)]
        self._views: dict[Class, View] = {}
        self._classes: dict[int, Class] = {}

    def view(self, device_id: int) -> View:
        """The devices this one sees, itself not among them."""
        own_class = self.class_of(device_id)
        found = self._views.get(own_class)
        if found is None:
            found = self._views[own_class] = self._compute(own_class, device_id)
        return found & ~bit(device_id)

    def class_of(self, device_id: int) -> Class:
        found = self._classes.get(device_id)
        if found is None:
            mark = "".join(
                "0123"[(senders >> device_id & 1) + 2 * (receivers >> device_id & 1)]
                for senders, receivers in self.pairs
            )
            device = self.index.devices[device_id]
            user = 0 if device.tags or not self.self_rules else device.user_id or 0
            found = self._classes[device_id] = (mark, user)
        return found

    def _compute(self, own_class: Class, device_id: int) -> View:
        found = 0
        for mark, (senders, receivers) in zip(own_class[0], self.pairs, strict=True):
            if mark in "13":
                found |= receivers
            if mark in "23":
                found |= senders
        own = own_devices(self.index, device_id) if self.self_rules else 0
        for rule in self.self_rules:
            sources, receivers = rule.sides(own)
            if sources >> device_id & 1:
                found |= receivers
            if receivers >> device_id & 1:
                found |= sources
        return found
