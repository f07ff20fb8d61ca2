"""Tags: their form. Who may give them is policy."""

from __future__ import annotations

import re
from collections.abc import Iterable

from meshbox.errors import Invalid

TAG = re.compile(r"tag:[a-z][a-z0-9-]{0,48}")

TAGS_PER_NODE = 50


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags, sorted and each once. Raises Invalid naming the first that is malformed."""
    distinct = sorted(set(tags))
    if len(distinct) > TAGS_PER_NODE:
        raise Invalid(f"a node carries at most {TAGS_PER_NODE} tags, not {len(distinct)}")
    for tag in distinct:
        if not TAG.fullmatch(tag):
            raise Invalid(f"{tag!r} is not a tag: write tag: and lower-case letters, digits and dashes")
    return tuple(distinct)
