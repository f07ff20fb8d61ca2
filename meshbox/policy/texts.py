"""From the text of a policy to the policy: a new text is read strictly, a kept one as it was accepted.

A text that is put in is held against the tailnet as it is: a group that neither the policy defines nor the
identity provider named is a typing error. Once accepted it stays a policy, whoever leaves: a group of the
provider in which nobody is any more is empty.
"""

from __future__ import annotations

import re
from functools import lru_cache

from meshbox.policy.document import Document
from meshbox.policy.reading import read
from meshbox.policy.words import Known
from meshbox.policy.world import World
from meshbox.policy.yamlform import read as parse

NOBODY = Document(acls=())
"""What serves when no kept version can be read: better nothing open than everything."""
NOBODY_TEXT = '{"acls": []}'

_GROUP = re.compile(r"group:[^\s\"'\[\]{},]+")


def read_new(text: str, world: World) -> Document:
    """Raises PolicyError."""
    return read(parse(text), Known(world.domains, world.groups()))


@lru_cache(2)
def read_kept(text: str) -> Document:
    """Remembered, because a text is read before it is committed (in a thread: a megabyte takes half a
    second) and again by the one door through which every version enters. Raises PolicyError."""
    return read(parse(text), Known(None, frozenset(_GROUP.findall(text))))
