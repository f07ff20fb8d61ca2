"""Custom attributes of a device: set by an administrator, or by the device itself where that is allowed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from meshbox.errors import Invalid
from meshbox.policy.world import Attribute
from meshbox.tailnet.model import Audit, Node
from meshbox.tailnet.ports import Put
from meshbox.tailnet.tailnet import Tailnet

NAME = re.compile(r"custom:[A-Za-z0-9_.-]{1,64}", re.ASCII)
VALUE_LENGTH = 256
COUNT_LIMIT = 64
"""Custom attributes of one node."""
NUMBER_LIMIT = 2**53


def change(t: Tailnet, node: Node, wish: Mapping[str, Attribute | None], actor: str, now: float) -> Node:
    """Set the custom attributes in `wish`, take away those that are None. Raises Invalid."""
    for name, value in wish.items():
        _check(name, value)
    kept = {**dict(node.attributes), **wish}
    left = tuple(sorted((name, value) for name, value in kept.items() if value is not None))
    if len(left) > COUNT_LIMIT:
        raise Invalid(f"node {node.name} would have {len(left)} attributes; at most {COUNT_LIMIT} are kept")
    changed = replace(node, attributes=left)
    # Compared by type as well: 1 and True are equal to Python.
    if list(map(repr, left)) != list(map(repr, node.attributes)):
        t.commit(now, Put(changed), Audit(now, actor, "node.attributes", node.name, _listed(wish)))
    return changed


def _check(name: str, value: Attribute | None) -> None:
    if not NAME.fullmatch(name):
        raise Invalid(
            f"{name[:80]!r} cannot be set: what is set is named custom:NAME, of letters, digits and _ . -"
        )
    if isinstance(value, str) and (len(value) > VALUE_LENGTH or not value.isprintable()):
        raise Invalid(f"{name}: wants at most {VALUE_LENGTH} printable characters")
    if isinstance(value, int | float) and not -NUMBER_LIMIT < value < NUMBER_LIMIT:
        raise Invalid(f"{name}: wants a number between -2^53 and 2^53")


def _listed(wish: Mapping[str, Attribute | None]) -> str:
    words = [f"-{name}" if value is None else f"{name}={value}" for name, value in wish.items()]
    return " ".join(words)[:1024]
