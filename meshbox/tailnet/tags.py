"""Tags: their form, and who may put which on what. The last word is `tagOwners` of the policy.

Without a policy an administrator may use any tag, and a device gets those of its pre-auth key. With one, a
tag must be defined there, and a device may ask for tags that its key's tags, or its owner, own.
"""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.errors import Invalid
from meshbox.policy.approve import may_tag_as_person, may_tag_as_tags
from meshbox.policy.selectors import fold_tag
from meshbox.tailnet.model import AuthKey
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.hostinfo import TAG, TAG_LENGTH, TAG_LIMIT


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, sorted and each once. Raises Invalid naming the first that is malformed."""
    distinct = sorted(set(tags))
    if len(distinct) > TAG_LIMIT:
        raise Invalid(f"a node carries at most {TAG_LIMIT} tags, not {len(distinct)}")
    for tag in distinct:
        if not TAG.fullmatch(tag) or len(tag) > TAG_LENGTH:
            raise Invalid(f"{tag!r} is not a tag: write tag: and lower-case letters, digits and dashes")
    return tuple(distinct)


def require_defined(t: Tailnet, tags: Iterable[str]) -> None:
    """Raises Invalid for a tag that the policy in force does not know: no rule could ever name it."""
    document = t.enforcement.document
    if document is None:
        return
    for tag in tags:
        if fold_tag(tag) not in document.tag_owners:
            raise Invalid(f"{tag} is not defined in tagOwners of the policy; add it there first")


def foreign_to_key(t: Tailnet, key: AuthKey, wanted: Iterable[str]) -> list[str]:
    """Those of the wanted tags that a device with this pre-auth key may not have."""
    asked = [tag for tag in wanted if tag not in key.tags]
    document = t.enforcement.document
    if document is None or not asked:
        return asked
    if key.tags:
        return [tag for tag in asked if not may_tag_as_tags(document, frozenset(key.tags), frozenset({tag}))]
    return asked if key.user_id is None else foreign_to_person(t, key.user_id, asked)


def foreign_to_person(t: Tailnet, user_id: int, wanted: Iterable[str]) -> list[str]:
    """Those of the wanted tags that this user may not give to a device."""
    document = t.enforcement.document
    if document is None:
        return list(wanted)
    resolver = t.enforcement.compiled.resolver
    return [tag for tag in wanted if not may_tag_as_person(document, resolver, user_id, tag)]


def known_tags(t: Tailnet) -> list[str]:
    """What a node can be given: the policy's tags, and without a policy those in use."""
    document = t.enforcement.document
    if document is not None:
        return sorted(document.tag_owners)
    return sorted({tag for node in t.nodes.values() for tag in node.tags})
