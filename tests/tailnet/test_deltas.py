from __future__ import annotations

from ipaddress import ip_network

import orjson

from meshbox.policy.outlook import Outlook
from meshbox.tailnet.changes import Dirty, Fact
from meshbox.tailnet.deltas import MEMO_LIMIT, Deltas, Span
from meshbox.tailnet.frames import PLAIN, ZSTD
from meshbox.tailnet.peers import Peers
from tests.tailnet.build import join, make_key, make_tailnet


def test_one_span_is_encoded_once_and_codings_are_kept_apart() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    deltas = Deltas(Peers(t))
    outlook = Outlook(t.everyone)
    span, dirty = Span(outlook, outlook, 1, 2), Dirty({node.id: Fact.ONLINE})
    one = deltas.for_viewer(77, span, dirty, ZSTD)
    assert deltas.for_viewer(78, span, dirty, ZSTD) is one
    assert deltas.for_viewer(77, span, dirty, PLAIN) != one
    assert deltas.for_viewer(node.id, span, dirty, ZSTD) == b"", "nobody is its own peer"


def test_a_viewer_that_came_into_its_own_sight_is_not_told_of_itself() -> None:
    t = make_tailnet()
    node, other = join(t, 1, make_key(t)), join(t, 2, make_key(t))
    span = Span(Outlook(), Outlook(t.everyone), 1, 2)
    deltas = Deltas(Peers(t))
    message = orjson.loads(deltas.for_viewer(node.id, span, Dirty(), PLAIN)[4:])
    assert [peer["ID"] for peer in message["PeersChanged"]] == [other.id]


def test_other_routes_on_a_router_are_told_as_a_whole_node() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    route = ip_network("10.33.0.0/16")
    routed = Outlook(t.everyone, {node.id: (route,)}, t.everyone)
    deltas = Deltas(Peers(t))
    (peer,) = orjson.loads(deltas.make(Span(Outlook(t.everyone), routed, 1, 2), Dirty(), PLAIN)[4:])[
        "PeersChanged"
    ]
    assert peer["PrimaryRoutes"] == [str(route)] and peer["AllowedIPs"][-1] == str(route)
    (peer,) = orjson.loads(deltas.make(Span(routed, Outlook(t.everyone), 1, 2), Dirty(), PLAIN)[4:])[
        "PeersChanged"
    ]
    assert peer["AllowedIPs"] == peer["Addresses"] and "PrimaryRoutes" not in peer


def test_what_is_remembered_is_bounded() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    deltas, outlook = Deltas(Peers(t)), Outlook(t.everyone)
    for since in range(4 * MEMO_LIMIT):
        span = Span(outlook, outlook, since, 5000)
        deltas.for_viewer(77, span, Dirty({node.id: Fact.ONLINE}), ZSTD)
    assert len(deltas._memo) <= MEMO_LIMIT + 1


def test_a_dirty_node_outside_the_view_is_not_mentioned() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    for facts in Fact:
        assert Deltas(Peers(t)).make(Span(Outlook(), Outlook(), 1, 2), Dirty({node.id: facts}), PLAIN) == b""
