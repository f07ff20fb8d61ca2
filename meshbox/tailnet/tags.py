"""Tags as an administrator gives them. Who may claim one is policy."""

from __future__ import annotations

from collections.abc import Iterable

from meshbox.errors import Invalid
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
