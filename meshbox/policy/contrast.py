"""What a change of policy takes and gives: the pairs that lose and gain access, for people to read.

Two policies are compared by what they let through. Rules that are in both cost nothing but where a changed
one reaches as well. A hundred million pairs are counted as sets; what is listed is grouped by whose devices
they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from meshbox.policy.compiled import Compiled
from meshbox.policy.openings import Cell, Doors, changes, receivers
from meshbox.policy.portwords import write_ports
from meshbox.policy.ranges import EVERYTHING
from meshbox.policy.rules import AnyRule, Rule, SelfRule
from meshbox.policy.sight import View, bit, ids
from meshbox.policy.spans import Span
from meshbox.policy.world import World

MAX_ROWS = 500
"""Rows that are listed of each kind; the counts are of all."""
MAX_OWNERS = 12
"""Devices of more owners than these are one row, as a number: a thousand rows of a user each say less."""
EVERYBODY = "every device"
ELSEWHERE = "any other address"


@dataclass(frozen=True, slots=True)
class Row:
    """`pairs` pairs of devices, from those of `src` to those of `dst`, whose access at `ports` changes. `src`
    and `dst` are a login, tags, or a number of devices. One pair as an example, as ids. For a network as
    `dst`, as the policy writes it, there is no second id, and `pairs` are the devices of `src`."""

    src: str
    dst: str
    ports: str
    pairs: int
    example: tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Half:
    """One direction of a change: rows, most pairs first, and how much there is in all; networks are rows and
    no pairs."""

    rows: tuple[Row, ...] = ()
    row_count: int = 0
    pairs: int = 0


@dataclass(frozen=True, slots=True)
class Contrast:
    lost: Half = Half()
    gained: Half = Half()


def contrast(old: Compiled, new: Compiled) -> Contrast:
    """Both compiled for the same world."""
    changed = _changed_rules(old, new)
    doors = Doors(old), Doors(new)
    lost, gained = (
        _Tally(old.resolver.world, old.index.everyone),
        _Tally(old.resolver.world, old.index.everyone),
    )
    affected = 0
    for rule in changed:
        affected |= receivers(old.index, rule)
    memo: dict[tuple[object, ...], tuple[dict[Cell, View], dict[Cell, View]]] = {}
    for device_id in ids(affected):
        key = tuple(each.of_device(device_id) for each in doors)
        found = memo.get(key)
        if found is None:
            found = memo[key] = changes(*key)
        for tally, cells in zip((lost, gained), found, strict=True):
            tally.add_device(device_id, cells)
    for text, spans in _networks(changed, old).items():
        found = changes(*(each.of_network(spans) for each in doors))
        for tally, cells in zip((lost, gained), found, strict=True):
            tally.add_network(text, cells)
    return Contrast(lost.half(), gained.half())


def _changed_rules(old: Compiled, new: Compiled) -> list[AnyRule]:
    """The rules that only one of the two has, however often and in whatever order."""
    keys = [{id(rule): _key(rule) for rule in each.table.rules if rule.caps is None} for each in (old, new)]
    counts = [Counter(each.values()) for each in keys]
    differing = (counts[0] - counts[1]) + (counts[1] - counts[0])
    return [
        rule
        for each, own in zip((old, new), keys, strict=True)
        for rule in each.table.rules
        if id(rule) in own and own[id(rule)] in differing
    ]


def _key(rule: AnyRule) -> tuple[object, ...]:
    """Equal for rules that let the same through, between the same devices and addresses."""
    source = rule.source
    ends = source.nodes, source.literal_texts, source.is_all
    if isinstance(rule, SelfRule):
        return (*ends, rule.ports, rule.protocol, rule.is_reversed)
    dests = tuple((dest.is_any, dest.nodes, dest.spans) for dest in rule.dests)
    return (*ends, dests, rule.ports, rule.protocol, rule.via, rule.is_silent)


def _networks(rules: Iterable[AnyRule], compiled: Compiled) -> dict[str, tuple[Span, ...]]:
    """The literal destinations of rules, unless they are simply the address of a device."""
    found: dict[str, tuple[Span, ...]] = {}
    for rule in rules:
        for dest in rule.dests if isinstance(rule, Rule) else ():
            spans = EVERYTHING if dest.is_any else dest.spans
            if not all(span.is_single and compiled.index.devices_in(span) for span in spans):
                found[ELSEWHERE if dest.is_any else dest.selector.text] = spans
    return found


class _Tally:
    """One half of a contrast while it is counted."""

    def __init__(self, world: World, everyone: View) -> None:
        self._everyone = everyone
        self._owners: dict[str, View] = {}
        self._owner_of: dict[int, str] = {}
        for device in world.devices.values():
            owner = owner_of(world, device.id)
            self._owner_of[device.id] = owner
            self._owners[owner] = self._owners.get(owner, 0) | bit(device.id)
        self._split: dict[View, list[tuple[str, View]]] = {}
        self._rows: dict[tuple[str, str, str], tuple[int, tuple[int, int | None]]] = {}
        self._pairs = 0

    def add_device(self, device_id: int, cells: dict[Cell, View]) -> None:
        own = bit(device_id)
        for senders, ports in _atoms(cells):
            if senders & ~own:
                # Everybody is everybody else as well: one row for all such destinations.
                shown = senders if senders | own == self._everyone else senders & ~own
                self._add(shown, own, self._owner_of[device_id], ports, device_id)

    def add_network(self, text: str, cells: dict[Cell, View]) -> None:
        for senders, ports in _atoms(cells):
            self._add(senders, 0, text, ports, None)

    def half(self) -> Half:
        ordered = sorted(self._joined().items(), key=lambda row: (-row[1][0], row[0]))
        rows = tuple(Row(*key, pairs, example) for key, (pairs, example) in ordered[:MAX_ROWS])
        return Half(rows, len(ordered), self._pairs)

    def _joined(self) -> dict[tuple[str, str, str], tuple[int, tuple[int, int | None]]]:
        """The rows; those to the devices of many owners, alike in all else, are one."""
        alike: dict[tuple[str, str], list[str]] = {}
        for (src, dst, ports), (_, example) in self._rows.items():
            if example[1] is not None:
                alike.setdefault((src, ports), []).append(dst)
        rows = dict(self._rows)
        for (src, ports), dsts in alike.items():
            if len(dsts) > MAX_OWNERS:
                merged = [rows.pop((src, dst, ports)) for dst in dsts]
                is_all = len(dsts) == len(self._owners)
                name = EVERYBODY if is_all else f"devices of {len(dsts)} users and tags"
                rows[src, name, ports] = sum(count for count, _ in merged), merged[0][1]
        return rows

    def _add(self, senders: View, own: View, dst: str, ports: str, device_id: int | None) -> None:
        for src, some in self._named(senders | own if senders | own == self._everyone else senders):
            others = some & ~own
            if not others:
                continue
            count = others.bit_count()
            self._pairs += count if device_id is not None else 0
            before = self._rows.get((src, dst, ports))
            first = (others & -others).bit_length() - 1
            example = before[1] if before else (first, device_id)
            self._rows[src, dst, ports] = (before[0] if before else 0) + count, example

    def _named(self, senders: View) -> list[tuple[str, View]]:
        """The senders by their owners, or as one number when those are many."""
        found = self._split.get(senders)
        if found is None:
            found = self._split[senders] = self._split_by_owner(senders)
        return found

    def _split_by_owner(self, senders: View) -> list[tuple[str, View]]:
        if senders == self._everyone and len(self._owners) > 1:
            return [(EVERYBODY, senders)]
        found: list[tuple[str, View]] = []
        rest = senders
        while rest:
            if len(found) == MAX_OWNERS:
                return [(f"{senders.bit_count()} devices of many", senders)]
            owner = self._owner_of[(rest & -rest).bit_length() - 1]
            found.append((owner, senders & self._owners[owner]))
            rest &= ~self._owners[owner]
        return found


def owner_of(world: World, device_id: int) -> str:
    """Whose a device is, for people: a login, or its tags."""
    device = world.devices[device_id]
    if device.tags or device.user_id is None:
        return ",".join(device.tags)
    person = world.people.get(device.user_id)
    return (person.login or person.name) if person else f"user {device.user_id}"


def _atoms(cells: dict[Cell, View]) -> list[tuple[View, str]]:
    """The senders, parted so that all of a part are concerned at the same ports."""
    parts: dict[View, list[Cell]] = {}
    for cell, senders in cells.items():
        split: dict[View, list[Cell]] = {}
        rest = senders
        for part, known in parts.items():
            both = part & senders
            rest &= ~part
            if both:
                split[both] = [*known, cell]
            if part & ~senders:
                split[part & ~senders] = known
        if rest:
            split[rest] = [cell]
        parts = split
    return [(part, write_ports(known)) for part, known in parts.items()]
