"""`/console/mine`: the machines of whoever is signed in, for people who do not run the network."""

from __future__ import annotations

from meshbox.errors import NotFound
from meshbox.serve.console.machines import row
from meshbox.serve.console.rights import Right
from meshbox.serve.console.sight import Screen, Sight, screen


@screen("/mine", ("mine.delete", "mine.expire", "mine.rename"), needs=Right.OWN)
def mine(sight: Sight) -> Screen:
    t = sight.tailnet
    if sight.user_id is None:
        raise NotFound("an API key has no machines of its own")
    owned = sorted(t.nodes_of_user(sight.user_id), key=lambda node: node.name)
    return Screen(
        "console-mine.html", "My machines", "mine", {"nodes": [row(t, node, sight.now) for node in owned]}
    )
