"""Which machines a list shows: words, filters and order, all of them in the address of the page."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet

PER_PAGE = 100
AT_A_TIME = 400
"""Machines looked at between two turns of the loop: about 5 ms."""
SOON = 14 * 86_400.0
"""Seconds before its end from which a key "expires soon"."""

NodeState = Literal["waiting", "expired", "online", "offline"]

FILTERS: Mapping[str, str] = {
    "": "any state",
    "online": "online",
    "offline": "offline",
    "expired": "logged out",
    "expiring": "key expires soon",
    "waiting": "waits for approval",
    "routes": "routes wait",
    "router": "carries routes",
}

ORDERS: Mapping[str, str] = {
    "": "name",
    "seen": "seen last",
    "new": "joined last",
    "expiry": "expires first",
    "version": "oldest client first",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """`words` must all be found somewhere in name, host name, address, owner, tags or system."""

    words: tuple[str, ...] = ()
    state: str = ""
    user: str = ""
    tag: str = ""
    order: str = ""
    page: int = 1


def read_wish(query: Mapping[str, str]) -> Wish:
    """Whatever an address says; what makes no sense is not a wish."""
    page = query.get("page", "")
    return Wish(
        words=tuple(query.get("q", "")[:200].lower().split()),
        state=query.get("state", ""),
        user=query.get("user", ""),
        tag=query.get("tag", ""),
        order=query.get("order", ""),
        page=int(page) if page.isascii() and page.isdecimal() and 0 < len(page) < 7 else 1,
    )


def state_of(t: Tailnet, node: Node, now: float) -> NodeState:
    """What holds it up first."""
    if not node.is_approved:
        return "waiting"
    if node.is_expired(now):
        return "expired"
    return "online" if t.is_online(node.id) else "offline"


async def search(t: Tailnet, wish: Wish, now: float) -> list[Node]:
    """All that fit, in order. Words are looked for in every machine: clients get a turn in between."""
    found = []
    for number, node in enumerate(list(t.nodes.values()), start=1):
        if _fits(t, node, wish, now):
            found.append(node)
        if number % AT_A_TIME == 0:
            await asyncio.sleep(0)
    found.sort(key=_order(t, wish.order))
    return found


def waiting_routes(t: Tailnet, node: Node) -> list[str]:
    """Offered and not approved."""
    approved = set(node.approved_routes)
    return [str(route) for route in t.report(node.id).advertised_routes if route not in approved]


def _fits(t: Tailnet, node: Node, wish: Wish, now: float) -> bool:
    owner = t.users.get(node.user_id or 0)
    if wish.user and (owner is None or owner.name != wish.user):
        return False
    if wish.tag and wish.tag not in node.tags:
        return False
    if wish.state and not _is(t, node, wish.state, now):
        return False
    if not wish.words:
        return True
    texts = (node.name, node.hostname, "" if owner is None else owner.name, t.report(node.id).os, *node.tags)
    text = " ".join((*texts, *map(str, node.addresses))).lower()
    return all(word in text for word in wish.words)


def _is(t: Tailnet, node: Node, state: str, now: float) -> bool:
    match state:
        case "expiring":
            return node.expires_at is not None and now < node.expires_at <= now + SOON
        case "routes":
            return bool(waiting_routes(t, node))
        case "router":
            return bool(node.approved_routes)
        case _:
            return state_of(t, node, now) == state


def _order(t: Tailnet, order: str) -> Callable[[Node], tuple[object, ...]]:
    match order:
        case "seen":
            return lambda node: (not t.is_online(node.id), -(t.report(node.id).last_seen or 0.0), node.name)
        case "new":
            return lambda node: (-node.created_at, -node.id)
        case "expiry":
            return lambda node: (node.expires_at is None, node.expires_at or 0.0, node.name)
        case "version":
            return lambda node: (_version(t.report(node.id).client_version), node.name)
        case _:
            return lambda node: (node.name,)


def _version(text: str) -> tuple[int, ...]:
    numbers = text.partition("-")[0].split(".")
    return tuple(
        int(number) if number.isascii() and number.isdecimal() and len(number) < 9 else 0
        for number in numbers
    )
