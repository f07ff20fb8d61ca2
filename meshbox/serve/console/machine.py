"""`/console/machines/{node}`: everything about one."""

from __future__ import annotations

from meshbox.serve.api.lookup import find_node
from meshbox.serve.console.machines import row
from meshbox.serve.console.sight import Screen, Sight, screen
from meshbox.tailnet.tags import known_tags

LATEST = 10

ONE = (
    "node.approve",
    "node.delete",
    "node.expire",
    "node.keep",
    "node.renew",
    "node.rename",
    "node.routes",
    "node.tags",
    "node.user",
)


@screen("/machines/{node}", ONE)
async def machine(sight: Sight) -> Screen:
    t, node = sight.tailnet, find_node(sight.tailnet, sight.path["node"])
    latest = await sight.ask("GET", "/audit", query={"object": node.name, "limit": str(LATEST)})
    shown = row(t, node, sight.now)
    values = {
        "node": shown,
        "routes": sorted({*shown["availableRoutes"], *shown["approvedRoutes"]}),
        "machine_key": node.machine_key.short,
        "node_key": node.node_key.short,
        "relay": _relay_name(sight, shown["homeRelay"]),
        "users": sorted(t.users.values(), key=lambda user: user.name),
        "tags": known_tags(t),
        "entries": latest["entries"],
    }
    return Screen("console-machine.html", node.name, "machines", values)


def _relay_name(sight: Sight, region_id: int) -> str:
    for region in sight.tailnet.derp_map.regions:
        if region.id == region_id:
            return region.name
    return "none" if not region_id else f"region {region_id}"
