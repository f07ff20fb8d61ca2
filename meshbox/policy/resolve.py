"""Selectors to devices and addresses, for one document and one world.

A selector stands for devices by identity (a user, a tag) or for literal addresses (a host, `*`), and the
two are kept apart: an identity brings both address families of its devices, a literal only itself.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshbox.policy.document import Document
from meshbox.policy.index import Index, union
from meshbox.policy.ipsets import resolve_all
from meshbox.policy.problem import PolicyError
from meshbox.policy.ranges import EVERYTHING, INTERNET, WILDCARD
from meshbox.policy.selectors import IDENTITIES, Selector, fold_tag
from meshbox.policy.sight import View
from meshbox.policy.spans import Span, SpanSet, span_of_prefix
from meshbox.policy.world import Device, Person, World


class People:
    """Selectors to people. They change seldom, so what a selector means is found once."""

    def __init__(self, document: Document, people: Mapping[int, Person]) -> None:
        self._document = document
        self._people = people
        self._found: dict[str, frozenset[int]] = {}
        self._by_login: dict[str, list[int]] = {}
        self._by_name: dict[str, list[int]] = {}
        for person in people.values():
            if person.login:
                self._by_login.setdefault(person.login, []).append(person.id)
            if person.name:
                self._by_name.setdefault(person.name, []).append(person.id)

    def of(self, selector: Selector) -> frozenset[int]:
        """The people a selector names; empty for tags and addresses."""
        found = self._found.get(selector.text)
        if found is None:
            found = self._found[selector.text] = self._find(selector)
        return found

    def named(self, text: str) -> frozenset[int]:
        """Who is meant by a login, or by `name@`. Two people of one name are nobody: a rule must not
        open a door to whoever happens to share a label."""
        found = self._by_login.get(text) or self._by_name.get(text.removesuffix("@"), [])
        return frozenset(found if len(found) == 1 else ())

    def is_ambiguous(self, text: str) -> bool:
        return len(self._by_login.get(text) or self._by_name.get(text.removesuffix("@"), [])) > 1

    def in_group(self, group: str) -> frozenset[int]:
        listed = [self.named(login) for login in self._document.groups.get(group, ())]
        provided = {person.id for person in self._people.values() if group in person.groups}
        return frozenset(provided).union(*listed)

    def _find(self, selector: Selector) -> frozenset[int]:
        everybody = self._people.values()
        match selector.kind:
            case "user":
                return self.named(selector.name)
            case "group":
                return self.in_group(selector.name)
            case "domain":
                return frozenset(person.id for person in everybody if person.domain == selector.name)
            case "member":
                return frozenset(self._people)
            case "role":
                # Who owns the tailnet is an administrator of it as well.
                wanted = {"admin", "owner"} if selector.name == "admin" else {selector.name}
                return frozenset(person.id for person in everybody if person.role in wanted)
        return frozenset()


class Resolver:
    """`nodes` gives devices as a set, `spans` literal addresses, `matches` asks about one device."""

    def __init__(self, document: Document, world: World, index: Index | None = None) -> None:
        self.document = document
        self.world = world
        self.index = index or Index(world.devices.values())
        self.people = People(document, world.people)
        self.ipsets: Mapping[str, SpanSet] = resolve_all(document.ipsets, document.hosts)
        usual = SpanSet(WILDCARD)
        own = [span_of_prefix(prefix) for prefix in world.prefixes]
        self.wildcard: tuple[Span, ...] = (
            *WILDCARD,
            *(span for span in own if not any(range_.overlaps(span) for range_ in usual)),
        )
        """`*` as a source without the approved routes."""

    def at(self, index: Index) -> Resolver:
        """The same policy and people over other devices."""
        new = object.__new__(Resolver)
        new.document, new.world, new.people = self.document, self.world, self.people
        new.ipsets, new.wildcard, new.index = self.ipsets, self.wildcard, index
        return new

    def device(self, device_id: int) -> Device:
        return self.index.devices[device_id]

    def nodes(self, selector: Selector) -> View:
        """The devices a selector stands for; an address stands for the devices that have it, `*` for all.
        `autogroup:self` depends on the viewer and is nobody here."""
        index = self.index
        match selector.kind:
            case "any":
                return index.everyone
            case "tag":
                return index.by_tag.get(selector.name, 0)
            case "tagged":
                return index.tagged
            case "host" | "prefix" | "ipset" | "internet" | "danger-all":
                found = 0
                for span in self.spans(selector):
                    found |= index.devices_in(span)
                return found
        return union(index.by_user, self.people.of(selector))

    def spans(self, selector: Selector) -> tuple[Span, ...]:
        """The literal addresses of a selector, as they are written in a filter; none for identities.
        `*` is every address of a tailnet, without the routes."""
        match selector.kind:
            case "any":
                return self.wildcard
            case "ipset":
                return tuple(self.ipsets[selector.name])
            case "internet":
                return INTERNET
            case "danger-all":
                return EVERYTHING
        return () if selector.span is None else (selector.span,)

    def matches(self, selector: Selector, device: Device) -> bool:
        """Does the selector stand for this device? For one device cheaper than `nodes`."""
        match selector.kind:
            case "any":
                return True
            case "tag":
                return any(fold_tag(tag) == selector.name for tag in device.tags)
            case "tagged":
                return bool(device.tags)
        if selector.kind in IDENTITIES:
            return not device.tags and device.user_id in self.people.of(selector)
        return any(
            span.contains(address.version, int(address))
            for span in self.spans(selector)
            for address in device.addresses
        )


def check_people(document: Document, world: World) -> None:
    """Refuse a policy that names a login which two people have. Raises PolicyError."""
    people = People(document, world.people)
    named = {login for logins in document.groups.values() for login in logins}
    sources = [
        *(rule.src for rule in document.acls or ()),
        *(rule.src for rule in document.grants or ()),
        *(rule.src for rule in document.ssh or ()),
    ]
    for selectors in sources:
        named.update(selector.name for selector in selectors if selector.kind == "user")
    for name in sorted(named):
        if people.is_ambiguous(name):
            raise PolicyError(f'user "{name}" is ambiguous: several users have this name')
