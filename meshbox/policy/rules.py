"""The rule table: acls and grants as one list of rules in the order in which they are sent.

All grants come first, then all acls. A rule is for everybody alike; what a device receives of it is
decided by policy/filter.py. A rule whose sources are nobody stays in the table, because somebody may join.
`autogroup:self` makes rules of another kind, one copy per person.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Literal

from meshbox.policy.dests import Dest
from meshbox.policy.document import Acl, Grant, Json, Selectors, Target
from meshbox.policy.postures import parse as parse_posture
from meshbox.policy.problem import Spot
from meshbox.policy.resolve import Resolver
from meshbox.policy.selectors import ANY, IDENTITIES, Selector
from meshbox.policy.services import ALL_PORTS, PortRange, Service
from meshbox.policy.sight import View
from meshbox.policy.sources import Posture, Source, make_source

Section = Literal["acls", "grants", "default"]
Ports = tuple[PortRange, ...]

COMPANIONS = {
    "tailscale.com/cap/drive": "tailscale.com/cap/drive-sharer",
    "tailscale.com/cap/relay": "tailscale.com/cap/relay-target",
    "tailscale.com/cap/file-send": "https://tailscale.com/cap/file-sharing-target",
}
"""Granting the first, the destinations must show the second to the sources: clients find shares, relays and
whom to send files by it."""
WIRE_NAMES = {"tailscale.com/cap/file-send": "https://tailscale.com/cap/file-send"}
"""Capabilities that clients know by a name no policy may hold: it is older than the form of names today."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where in the policy a rule comes from."""

    section: Section
    index: int
    spot: Spot

    def __str__(self) -> str:
        if self.section == "default":
            return "no acls and no grants: everything is allowed"
        return f"{self.section}[{self.index}] ({self.spot})"


@dataclass(eq=False)
class Rule:
    """`ports` belongs to `dests`, one each; empty for a rule that grants `caps`. `via` are the devices with
    one of `via_tags`; where there are any tags, only they receive the rule. A rule that `is_silent` shows
    devices to each other without being sent, as a via grant of nothing but capabilities does."""

    origin: Origin
    source: Source
    dests: tuple[Dest, ...]
    ports: tuple[Ports, ...] = ()
    protocol: int | None = None
    caps: Mapping[str, Json] | None = None
    via_tags: tuple[str, ...] = ()
    via: View | None = None
    is_silent: bool = False

    @cached_property
    def receivers(self) -> View:
        """The devices that are sent at least one entry."""
        found = 0
        for dest in self.dests:
            found |= dest.receivers if self.via is None else dest.routers & self.via
        return found


@dataclass(eq=False)
class SelfRule:
    """A rule to `autogroup:self`: between the untagged devices of each person for itself. Of `is_reversed`
    the person's devices are the source and those the rule covers the receivers."""

    origin: Origin
    source: Source
    ports: Ports = ()
    protocol: int | None = None
    caps: Mapping[str, Json] | None = None
    is_reversed: bool = False

    def sides(self, own: View) -> tuple[View, View]:
        """Sources and receivers among the devices of one person."""
        covered = self.source.covered & own
        if not covered:
            return 0, 0
        return (own, covered) if self.is_reversed else (covered, own)


AnyRule = Rule | SelfRule


class Table:
    """All rules of a policy over one set of devices."""

    def __init__(self, resolver: Resolver) -> None:
        self.resolver = resolver
        self._sources: dict[tuple[Selectors, tuple[str, ...] | None], Source] = {}
        self._dests: dict[Selector, Dest] = {}
        self._postures: dict[str, Posture] = {}
        self._texts: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._numbers: dict[int, tuple[tuple[str, ...], int]] = {}
        self.rules: tuple[AnyRule, ...] = tuple(self._build())
        self.plain = tuple(at for at, rule in enumerate(self.rules) if isinstance(rule, Rule))
        self.to_self = tuple(at for at, rule in enumerate(self.rules) if isinstance(rule, SelfRule))

    @property
    def can_follow(self) -> bool:
        """May `after` be used? Not where what a device is like decides."""
        return not self.resolver.document.postures

    def after(self, resolver: Resolver, device_id: int) -> Table:
        """The table once one device, which routes nothing, came, went or changed. A small part of the cost
        of a new one: the rest of the sets is carried over."""
        device = resolver.index.devices.get(device_id)

        known: dict[str, bool] = {}

        def is_meant(selectors: Selectors) -> bool:
            # Hundreds of sources share a few dozen selectors, and most of them do not mean this device.
            if device is None:
                return False
            for selector in selectors:
                found = known.get(selector.text)
                if found is None:
                    is_identity = selector.kind in IDENTITIES
                    found = known[selector.text] = is_identity and resolver.matches(selector, device)
                if found:
                    return True
            return False

        new: Table = object.__new__(Table)
        new.resolver = resolver
        new._postures, new._texts, new._numbers = self._postures, {}, {}
        index = resolver.index
        # Most sets are not touched, and what is not touched is not built again.
        sources: dict[int, Source] = {}
        dests: dict[int, Dest] = {}
        new._sources, new._dests = dict(self._sources), dict(self._dests)
        for key, source in self._sources.items():
            changed = source.after(index, device_id, is_meant(key[0]))
            if changed is not source:
                new._sources[key] = sources[id(source)] = changed
        for selector, dest in self._dests.items():
            moved = dest.after(index, device_id, is_meant((selector,)))
            if moved is not dest:
                new._dests[selector] = dests[id(dest)] = moved
        new.rules = tuple([new._follow(rule, sources, dests) for rule in self.rules])
        new.plain, new.to_self = self.plain, self.to_self
        return new

    def _follow(self, rule: AnyRule, sources: Mapping[int, Source], dests: Mapping[int, Dest]) -> AnyRule:
        """The rule with those of its sets that are others now, given by the id of the old one."""
        source = sources.get(id(rule.source), rule.source)
        if isinstance(rule, SelfRule):
            if source is rule.source:
                return rule
            return SelfRule(rule.origin, source, rule.ports, rule.protocol, rule.caps, rule.is_reversed)
        tags = rule.via_tags
        if source is rule.source and not tags and dests.keys().isdisjoint(map(id, rule.dests)):
            return rule
        own_dests = tuple(dests.get(id(dest), dest) for dest in rule.dests)
        return Rule(
            rule.origin, source, own_dests, rule.ports, rule.protocol, rule.caps, tags,
            self._carrying(tags), rule.is_silent,
        )  # fmt: skip

    def _build(self) -> Iterator[AnyRule]:
        document = self.resolver.document
        if document.allows_everything:
            yield from self._acl(Acl(0, (ANY,), (Target(ANY, (ALL_PORTS,)),)), "default")
        for grant in document.grants or ():
            yield from self._grant(grant)
        for acl in document.acls or ():
            yield from self._acl(acl, "acls")

    @cached_property
    def leaders(self) -> tuple[int, ...]:
        """For each rule the position of the first one that it is merged into: its place in a filter. Rules
        that not everybody has, to oneself and `via`, do not count for others."""
        first: dict[tuple[object, ...], int] = {}
        found = []
        for at, rule in enumerate(self.rules):
            if rule.caps is None and isinstance(rule, Rule) and rule.via is None:
                found.append(first.setdefault((*rule.source.key, rule.protocol), at))
            else:
                found.append(at)
        return tuple(found)

    def source(self, selectors: Selectors, postures: tuple[str, ...] | None) -> Source:
        """Shared by all rules with the same sources, so that they are resolved and written once."""
        key = selectors, postures
        found = self._sources.get(key)
        if found is None:
            names = self.resolver.document.default_src_posture if postures is None else postures
            wanted = tuple(self._posture(name) for name in names)
            found = self._sources[key] = make_source(self.resolver, selectors, wanted)
        return found

    def number(self, texts: tuple[str, ...]) -> int:
        """The same number for equal sources; comparing thousands of addresses per rule and device would cost
        more than all the rest. A tuple that is asked for stays, so its id names it."""
        known = self._numbers.get(id(texts))
        if known is None or known[0] is not texts:
            first = self._texts.setdefault(texts, texts)
            known = self._numbers[id(texts)] = texts, id(first)
        return known[1]

    def dest(self, selector: Selector) -> Dest:
        found = self._dests.get(selector)
        if found is None:
            found = self._dests[selector] = Dest(self.resolver, selector)
        return found

    def _posture(self, name: str) -> Posture:
        found = self._postures.get(name)
        if found is None:
            found = self._postures[name] = parse_posture(self.resolver.document.postures[name])
        return found

    def _acl(self, acl: Acl, section: Section) -> Iterator[AnyRule]:
        source = self.source(acl.src, acl.src_posture)
        origin = Origin(section, acl.index, acl.spot)
        targets = list(acl.dst)
        if not all(target.selector.is_autogroup for target in targets):
            # With any other destination, what is for oneself comes last.
            targets.sort(key=lambda target: target.selector.kind == "self")
        for is_self, group in groupby(targets, lambda target: target.selector.kind == "self"):
            joined: dict[Selector, Ports] = {}
            for target in group:
                joined[target.selector] = joined.get(target.selector, ()) + target.ports
            if is_self:
                yield SelfRule(origin, source, next(iter(joined.values())), acl.protocol)
            else:
                dests = tuple(self.dest(selector) for selector in joined)
                yield Rule(origin, source, dests, tuple(joined.values()), acl.protocol)

    def _grant(self, grant: Grant) -> Iterator[AnyRule]:
        if not grant.src or not grant.dst:
            return
        source = self.source(grant.src, grant.src_posture)
        origin = Origin("grants", grant.index, grant.spot)
        others = tuple(self.dest(selector) for selector in grant.dst if selector.kind != "self")
        has_self = len(others) < len(grant.dst)
        tags, via = grant.via, self._carrying(grant.via)
        for protocol, ports in _by_protocol(grant.ip):
            if others:
                yield Rule(origin, source, others, (ports,) * len(others), protocol, None, tags, via)
            if has_self:
                yield SelfRule(origin, source, ports, protocol)
        if not grant.app:
            return
        if via is None:
            yield from self._app(grant, origin, source, others)
        elif not grant.ip:
            yield Rule(origin, source, others, via_tags=tags, via=via, is_silent=True)

    def _app(
        self, grant: Grant, origin: Origin, source: Source, others: tuple[Dest, ...]
    ) -> Iterator[AnyRule]:
        app = {WIRE_NAMES.get(name, name): values for name, values in grant.app.items()}
        if others:
            yield Rule(origin, source, others, caps=app)
        if len(others) < len(grant.dst):
            yield SelfRule(origin, source, caps=app)
        for capability, companion in COMPANIONS.items():
            if capability not in grant.app:
                continue
            caps: dict[str, Json] = {companion: None}
            if others:
                back = self.source(tuple(one.selector for one in others), ())
                yield Rule(origin, back, self._senders(grant), caps=caps)
            if len(others) < len(grant.dst):
                yield SelfRule(origin, source, caps=caps, is_reversed=True)

    def _senders(self, grant: Grant) -> tuple[Dest, ...]:
        """The sources of a grant as destinations; with a posture, only those that meet it."""
        document = self.resolver.document
        if not (document.default_src_posture if grant.src_posture is None else grant.src_posture):
            return tuple(self.dest(selector) for selector in grant.src)
        source = self.source(grant.src, grant.src_posture)
        return (Dest.of(self.resolver, source.nodes, source.literals),)

    def _carrying(self, tags: tuple[str, ...]) -> View | None:
        """The devices with one of the tags; None when none are named."""
        found = 0
        for tag in tags:
            found |= self.resolver.index.by_tag.get(tag, 0)
        return found if tags else None


def _by_protocol(services: tuple[Service, ...]) -> list[tuple[int | None, Ports]]:
    """Items of one protocol make one rule; in the order in which protocols are first named."""
    joined: dict[int | None, Ports] = {}
    for service in services:
        joined[service.protocol] = joined.get(service.protocol, ()) + service.ports
    return list(joined.items())
