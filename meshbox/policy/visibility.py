"""Who sees whom: A and B see each other when a rule that one of them receives has the other as a source.

That is a relation between two sets per rule, its senders and its receivers, so it is symmetric by
construction. Devices that stand alike to every rule form a class, and a view is computed once per class:
10,000 devices are a few thousand classes.

A device that comes or goes touches the views of a great many classes, most of which nobody asks for before
the next one comes. So a step is only noted, and a view takes the steps it has missed when it is asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

from meshbox.policy.filter import own_devices
from meshbox.policy.index import Index
from meshbox.policy.rules import Rule, SelfRule, Table
from meshbox.policy.sight import View, bit

Class = tuple[str, int]
"""How a device stands to each rule, two digits for each: is it a sender, is it a receiver; and whose it is
where that matters, else 0."""

STEPS_KEPT = 32
"""A view that has missed more is computed afresh, which costs about as much as so many steps."""

ROWS = 512
"""Sides of rules looked at together: of 16,000 rules and 10,000 devices all would be 320 MB."""


@dataclass(frozen=True, slots=True)
class Step:
    """One device came, went or changed; `seen` is what it sees now, and so who sees it."""

    device_id: int
    seen: View
    was_there: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """What a class sees, one of its devices, and after how many steps that was so."""

    member: int
    view: View
    steps: int


class Visibility:
    def __init__(self, table: Table) -> None:
        self.index: Index = table.resolver.index
        rules = table.rules
        self.pairs = [(rule.source.reach, rule.receivers) for rule in rules if isinstance(rule, Rule)]
        self.self_rules = [rule for rule in rules if isinstance(rule, SelfRule)]
        self._views: dict[Class, Kept] = {}
        self._steps: tuple[Step, ...] = ()
        """The last ones since a compile, of `_count`."""
        self._count = 0
        self._classes: dict[int, Class] | None = None
        self._received: dict[str, tuple[int, ...]] = {}

    def view(self, device_id: int) -> View:
        """The devices this one sees, itself not among them."""
        return self.class_view(device_id) & ~bit(device_id)

    def class_view(self, device_id: int) -> View:
        """What all devices of its class see, in one integer; themselves perhaps among them."""
        own_class = self.class_of(device_id)
        kept = self._views.get(own_class)
        if kept is None or kept.steps != self._count:
            view = self._caught_up(kept) if kept is not None else None
            if kept is None or view is None:
                kept = Kept(device_id, self._compute(own_class, device_id), self._count)
            else:
                kept = Kept(kept.member, view, self._count)
            self._views[own_class] = kept
        return kept.view

    def mark_of(self, device_id: int) -> int:
        """How the device stands to the plain rules, as policy/routeview.py reads it."""
        return int(self.class_of(device_id)[0][::-1] or "0", 2)

    def received(self, device_id: int) -> tuple[int, ...]:
        """The plain rules that the device is a receiver of, by their number, ascending."""
        mark = self.class_of(device_id)[0]
        found = self._received.get(mark)
        if found is None:
            found = self._received[mark] = tuple(n for n, digit in enumerate(mark[1::2]) if digit == "1")
        return found

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
        self._views, self._received = dict(old._views), old._received
        self._count = old._count + 1
        seen = 0
        if device_id in self.index.devices:
            own_class = self.class_of(device_id)
            seen = self._compute(own_class, device_id)
            self._views[own_class] = Kept(device_id, seen, self._count)
        step = Step(device_id, seen, device_id in old.index.devices)
        self._steps = (*old._steps, step)[-STEPS_KEPT:]

    def _caught_up(self, kept: Kept) -> View | None:
        """The view after the steps it has missed; None when they do not tell."""
        missed = self._count - kept.steps
        if missed > len(self._steps):
            return None
        view = kept.view
        for step in self._steps[-missed:]:
            if step.device_id == kept.member:
                # The one that stood for its class may be of another now.
                return None
            if step.seen >> kept.member & 1:
                view |= bit(step.device_id)
            elif step.was_there:
                view &= ~bit(step.device_id)
        return view

    def _classify(self) -> dict[int, Class]:
        """All devices at once: the sets turned from one row per rule to one column per device, a block of
        rows after the other. Devices that stand alike hold one mark."""
        devices = self.index.devices
        width = max(devices, default=0) + 1
        sides = list(chain.from_iterable(self.pairs))
        marks = dict.fromkeys(devices, "")
        for first in range(0, len(sides), ROWS):
            block = "".join([format(side, f"0{width}b")[::-1] for side in sides[first : first + ROWS]])
            longer: dict[tuple[str, str], str] = {}
            for one, mark in marks.items():
                key = mark, block[one::width]
                found = longer.get(key)
                if found is None:
                    found = longer[key] = "".join(key)
                marks[one] = found
        return {one: (mark, self._user_of(one)) for one, mark in marks.items()}

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
