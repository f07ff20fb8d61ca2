"""`/console/add`: how do I join? A key, and the line to type."""

from __future__ import annotations

from meshbox.serve.console.keys import lives
from meshbox.serve.console.sight import Screen, Sight, screen
from meshbox.tailnet.tags import known_tags


@screen("/add", ("key.create", "user.create"))
def add(sight: Sight) -> Screen:
    t = sight.tailnet
    values = {
        "users": sorted(t.users.values(), key=lambda user: user.name),
        "tags": known_tags(t),
        "lives": lives(sight.now, ("1 hour", "1 day", "7 days", "30 days", "90 days", "")),
    }
    return Screen("console-add.html", "Add a machine", "machines", values)
