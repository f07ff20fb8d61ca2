"""What devices may do without asking: routes that approve themselves, and who may put on which tag."""

from __future__ import annotations

from meshbox.policy.document import Document, Selectors
from meshbox.policy.resolve import Resolver
from meshbox.policy.selectors import fold_tag
from meshbox.policy.spans import Prefix, span_of_prefix
from meshbox.policy.world import Device

ADMINS = frozenset({"owner", "admin", "network-admin"})
"""May put any tag on anything."""


def approved_routes(document: Document, resolver: Resolver, device: Device) -> tuple[Prefix, ...]:
    """Those of the routes the device offers that `autoApprovers` approves. Exit routes are decided by
    `exitNode` alone: a /0 under `routes` is a prefix that holds every subnet, and no exit route."""
    approvers = document.auto_approvers
    found = []
    for route in device.advertised:
        if not route.prefixlen:
            allowed = _any(resolver, approvers.exit_node, device)
        else:
            span = span_of_prefix(route)
            allowed = any(
                span_of_prefix(prefix).covers(span) and _any(resolver, who, device)
                for prefix, who in approvers.routes
            )
        if allowed:
            found.append(route)
    return tuple(found)


def _any(resolver: Resolver, selectors: Selectors, device: Device) -> bool:
    return any(resolver.matches(selector, device) for selector in selectors)


def may_tag_as_person(document: Document, resolver: Resolver, user_id: int, tag: str) -> bool:
    """May this person give a device the tag? Owners named directly, by group or by role; administrators any
    tag that exists."""
    owners = document.tag_owners.get(fold_tag(tag))
    if owners is None:
        return False
    person = resolver.world.people.get(user_id)
    if person is None:
        return False
    return person.role in ADMINS or any(user_id in resolver.people.of(owner) for owner in owners)


def may_tag_as_tags(document: Document, tags: frozenset[str], wanted: frozenset[str]) -> bool:
    """May something that carries `tags` (an auth key) put on `wanted`? When they are the same set, or
    each is owned, perhaps through other tags, by one that it carries."""
    carried = {fold_tag(tag) for tag in tags}
    asked = {fold_tag(tag) for tag in wanted}
    return carried == asked or all(carried & _owning_tags(document, tag) for tag in asked)


def _owning_tags(document: Document, tag: str) -> set[str]:
    """The tags that own this one, and those that own them; tags may own each other in a circle."""
    found: set[str] = set()
    waiting = [tag]
    while waiting:
        for owner in document.tag_owners.get(waiting.pop(), ()):
            if owner.kind == "tag" and owner.name not in found:
                found.add(owner.name)
                waiting.append(owner.name)
    return found
