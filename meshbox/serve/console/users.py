"""`/console/users` and one of them: who is there, what they own, and what they may."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from meshbox.policy.world import Role
from meshbox.serve.api.lookup import find_user
from meshbox.serve.api.shapes import user_json
from meshbox.serve.console.machines import row
from meshbox.serve.console.sight import Screen, Sight, screen

AT_MOST = 1000
MACHINES_AT_MOST = 100
"""Users of the list, and machines on the page of one; all of those are a list of its own."""


@screen("/users", ("user.create",))
def users(sight: Sight) -> Screen:
    t = sight.tailnet
    found = sorted(t.users.values(), key=lambda user: user.name)
    owned = Counter(node.user_id for node in t.nodes.values())
    rows = [{**user_json(user), "machines": owned[user.id]} for user in found[:AT_MOST]]
    return Screen("console-users.html", "Users", "users", {"rows": rows, "total": len(found)})


@screen("/users/{user}", ("user.delete", "user.rename", "user.role"))
def user(sight: Sight) -> Screen:
    t, one = sight.tailnet, find_user(sight.tailnet, sight.path["user"])
    owned = t.nodes_of_user(one.id)
    values = {
        "user": user_json(one),
        "machines": [row(t, node, sight.now) for node in owned[:MACHINES_AT_MOST]],
        "machine_count": len(owned),
        "roles": get_args(Role),
    }
    return Screen("console-user.html", one.name, "users", values)
