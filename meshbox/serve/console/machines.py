"""`/console/machines`: who is here? A list with filters, and what is done to many at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from meshbox.serve.api.shapes import node_json
from meshbox.serve.console.search import (
    FILTERS,
    ORDERS,
    PER_PAGE,
    Wish,
    read_wish,
    search,
    state_of,
    waiting_routes,
)
from meshbox.serve.console.sight import ROOT, Screen, Sight, screen
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet

MANY = ("node.approve", "node.delete", "node.expire", "node.tags")


@screen("/machines", MANY)
async def machines(sight: Sight) -> Screen:
    t, wish = sight.tailnet, read_wish(sight.query)
    found = await search(t, wish, sight.now)
    pages = max(1, -(-len(found) // PER_PAGE))
    page = min(max(wish.page, 1), pages)
    shown = found[(page - 1) * PER_PAGE : page * PER_PAGE]
    values = {
        "rows": [row(t, node, sight.now) for node in shown],
        "found": len(found),
        "total": len(t.nodes),
        "wish": wish,
        "words": " ".join(wish.words),
        "filters": FILTERS,
        "orders": ORDERS,
        "tags": sorted({tag for node in t.nodes.values() for tag in node.tags}),
        "users": sorted(t.by_user_name),
        "page_number": page,
        "pages": pages,
        "link_to": lambda number: link(wish, number),
    }
    return Screen("console-machines.html", "Machines", "machines", values)


def row(t: Tailnet, node: Node, now: float) -> dict[str, Any]:
    """What the API says of a node, with the one word for its state."""
    waiting = waiting_routes(t, node)
    return {**node_json(t, node, now), "state": state_of(t, node, now), "waitingRoutes": waiting}


def link(wish: Wish, page: int) -> str:
    """The same list, another page of it."""
    fields = {"q": " ".join(wish.words), "state": wish.state, "user": wish.user, "tag": wish.tag}
    fields |= {"order": wish.order, "page": str(page) if page > 1 else ""}
    query = urlencode({name: value for name, value in fields.items() if value})
    return f"{ROOT}/machines" + (f"?{query}" if query else "")
