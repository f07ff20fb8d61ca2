"""The list of machines: words, filters, order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_network

import pytest

from meshbox.serve.console import search as console_search
from meshbox.serve.console.search import FILTERS, ORDERS, Wish, read_wish, state_of
from meshbox.tailnet import devices
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet

DAY = 86_400.0


def search(t: Tailnet, wish: Wish, now: float) -> list[Node]:
    return asyncio.run(console_search.search(t, wish, now))


@pytest.fixture
def t() -> Tailnet:
    """laptop (ana, online), phone (ben, logged out), web (tagged, offers a route), nas (not approved)."""
    t = make_tailnet()
    ana, ben = make_key(t, "ana", reusable=True), make_key(t, "ben", reusable=True)
    tagged = make_key(t, "ana", tags=("tag:web",))
    laptop = join(t, 1, ana, "laptop", NOW - 3)
    phone = join(t, 2, ben, "phone", NOW - 2)
    web = join(t, 3, tagged, "web", NOW - 1)
    nas = join(t, 4, ana, "nas", NOW)
    t.presence.enter(laptop.id)
    devices.expire(t, phone.id, NOW, "test", NOW)
    devices.expire(t, laptop.id, NOW + DAY, "test", NOW)
    t.tell(
        web.id,
        replace(t.report(web.id), advertised_routes=(ip_network("10.0.0.0/24"),), client_version="1.9.2"),
    )
    t.nodes[nas.id] = replace(t.nodes[nas.id], is_approved=False)
    return t


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({}, ["laptop", "nas", "phone", "web"]),
        ({"q": "LAP"}, ["laptop"]),
        ({"q": "ana linux"}, ["laptop", "nas"]),
        ({"q": "tag:web"}, ["web"]),
        ({"q": "100.64.0.2"}, ["phone"]),
        ({"q": "nothing"}, []),
        ({"user": "ben"}, ["phone"]),
        ({"user": "nobody"}, []),
        ({"tag": "tag:web"}, ["web"]),
        ({"state": "online"}, ["laptop"]),
        ({"state": "offline"}, ["web"]),
        ({"state": "expired"}, ["phone"]),
        ({"state": "expiring"}, ["laptop"]),
        ({"state": "waiting"}, ["nas"]),
        ({"state": "routes"}, ["web"]),
        ({"state": "router"}, []),
        ({"state": "nonsense"}, []),
        ({"order": "new"}, ["nas", "web", "phone", "laptop"]),
        ({"order": "expiry"}, ["phone", "laptop", "nas", "web"]),
        ({"order": "version"}, ["web", "laptop", "nas", "phone"]),
        ({"order": "seen"}, ["laptop", "nas", "phone", "web"]),
        ({"order": "nonsense"}, ["laptop", "nas", "phone", "web"]),
        ({"q": "a", "state": "online", "user": "ana"}, ["laptop"]),
    ],
)
def test_what_is_found(t: Tailnet, query: dict[str, str], names: list[str]) -> None:
    assert [node.name for node in search(t, read_wish(query), NOW)] == names


def test_each_offered_choice_is_one(t: Tailnet) -> None:
    """A choice of the page that the search does not know would find nothing, or order nothing."""
    t.nodes[3] = replace(t.nodes[3], approved_routes=(ip_network("10.0.1.0/24"),))
    for state in FILTERS:
        assert search(t, Wish(state=state), NOW), state
    orders = {order: [node.id for node in search(t, Wish(order=order), NOW)] for order in ORDERS}
    assert len({tuple(order) for order in orders.values()}) == len(ORDERS) - 1, (
        "name and seen are the same here"
    )


def test_states_name_what_holds_it_up_first(t: Tailnet) -> None:
    states = {node.name: state_of(t, node, NOW) for node in t.nodes.values()}
    assert states == {"laptop": "online", "phone": "expired", "web": "offline", "nas": "waiting"}


@pytest.mark.parametrize(
    ("text", "page"), [("", 1), ("3", 3), ("0", 0), ("-1", 1), ("x", 1), ("9" * 50, 1), ("²", 1)]
)
def test_pages_are_numbers(text: str, page: int) -> None:
    assert read_wish({"page": text}).page == page
