"""Whom a setting is for, in words: `user:NAME` (or e-mail address), `node:NAME`, `tag:NAME`."""

from __future__ import annotations

from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet


def names_of(t: Tailnet, node: Node) -> frozenset[str]:
    """All the words that mean this node. Names are compared as they are written."""
    user = t.users.get(node.user_id or 0)
    owner = {f"user:{name}" for name in (user.name, user.email) if name} if user is not None else set()
    return frozenset({f"node:{node.name}", *node.tags} | owner)
