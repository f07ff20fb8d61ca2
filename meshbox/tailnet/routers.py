"""Routers that stand in for one another, and which of them give no sign of life.

A router whose host hangs or lost its network keeps its session until the connection dies, a minute and a half
later. Those that share a route are therefore asked again and again (serve/routercheck.py). One that is
silent counts as offline when routes are given out, and for nothing else: if it is wrongly taken for dead,
nothing but a route moves. When it answers again it stands in line; nothing moves back.
"""

from __future__ import annotations

from collections.abc import Mapping

from meshbox.tailnet.changes import Fact
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet


def sharing_routers(t: Tailnet) -> list[Node]:
    """The nodes online that carry, or could carry, a subnet route together with another node."""
    lines = t.enforcement.compiled.index.routers
    shared = {one for route, line in lines.items() if route.prefixlen and len(line) > 1 for one in line}
    return [t.nodes[one] for one in sorted(shared) if t.is_online(one)]


def note_answers(t: Tailnet, answers: Mapping[int, bool]) -> list[Node]:
    """Take over who answered and who did not, all at once: routes move once. Returns the nodes for which
    that is news. Ids that are gone meanwhile are passed over."""
    changed = [
        t.nodes[one]
        for one, is_heard in answers.items()
        if one in t.nodes and t.presence.set_silent(one, not is_heard)
    ]
    for node in changed:
        t.enforcement.touch(node.id)
        t.changes.append(node.id, Fact.STANDING)
    if changed:
        t.announce()
    return changed
