"""`/console/waiting`: may these come in?"""

from __future__ import annotations

from meshbox.serve.console.machines import row
from meshbox.serve.console.search import waiting_routes
from meshbox.serve.console.sight import Screen, Sight, screen

AT_MOST = 100
"""Of each kind on one page; those that came first."""

ACTS = (
    "auth.approve",
    "auth.reject",
    "node.approve",
    "node.delete",
    "route.approve",
    "ssh.approve",
    "ssh.reject",
)


@screen("/waiting", ACTS)
async def waiting(sight: Sight) -> Screen:
    t = sight.tailnet
    registrations, logins = await sight.ask("GET", "/auth"), await sight.ask("GET", "/ssh")
    unapproved = [node for node in t.nodes.values() if not node.is_approved]
    routers = [node for node in t.nodes.values() if waiting_routes(t, node)]
    values = {
        "devices": registrations["registrations"][:AT_MOST],
        "logins": logins["logins"][:AT_MOST],
        "nodes": [row(t, node, sight.now) for node in unapproved[:AT_MOST]],
        "routers": [row(t, node, sight.now) for node in routers[:AT_MOST]],
        "users": sorted(t.users.values(), key=lambda user: user.name),
    }
    return Screen("console-waiting.html", "Waiting", "waiting", values)
