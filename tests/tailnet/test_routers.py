"""Routers that stand in for one another: who is asked, and what silence means for their routes."""

from __future__ import annotations

from meshbox.tailnet import routes
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.routers import note_answers, sharing_routers
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet
from tests.tailnet.test_routes import LAN, router, states


def pair(t: Tailnet) -> tuple[int, int]:
    found = router(t, 1, "10.33.0.0/16"), router(t, 2, "10.33.0.0/16")
    for one in found:
        routes.approve(t, one, [LAN], "test", NOW)
    return found


def names(t: Tailnet) -> list[int]:
    return [node.id for node in sharing_routers(t)]


def test_only_routers_that_share_a_route_and_are_online_are_asked() -> None:
    t = make_tailnet()
    one = router(t, 1, "10.33.0.0/16", "0.0.0.0/0", "::/0")
    routes.approve(t, one, routes.parse_routes(["10.33.0.0/16", "exit"]), "test", NOW)
    two = router(t, 2, "0.0.0.0/0", "::/0")
    routes.approve(t, two, routes.EXIT_ROUTES, "test", NOW)
    assert names(t) == [], "each exit node is chosen by its users: none stands in for another"
    three = router(t, 3, "10.33.0.0/16", online=False)
    routes.approve(t, three, [LAN], "test", NOW)
    assert names(t) == [one]
    t.presence.enter(three)
    assert names(t) == [one, three]


def test_a_silent_router_loses_its_route_and_does_not_take_it_back() -> None:
    t = make_tailnet()
    one, two = pair(t)
    viewer = join(t, 3, make_key(t, "bo"), "viewer")
    poll = Poll(Mapper(t), viewer, "")
    poll.first(NOW)
    assert [node.id for node in note_answers(t, {one: False, two: True})] == [one]
    assert states(t) == {("10.33.0.0/16", one): "standby", ("10.33.0.0/16", two): "primary"}
    assert {found.node.id: found.health for found in routes.list_routes(t)} == {one: "silent", two: "well"}
    assert t.is_online(one), "peers may know better than we do"
    assert b"PrimaryRoutes" in b"".join(poll.next(NOW))
    assert note_answers(t, {one: False, two: True}) == [], "the same again is no news"
    assert [node.id for node in note_answers(t, {one: True, two: True})] == [one]
    assert states(t)["10.33.0.0/16", two] == "primary", "nothing flaps back"


def test_when_all_are_silent_the_one_that_carries_goes_on() -> None:
    t = make_tailnet()
    one, two = pair(t)
    note_answers(t, {one: False})
    assert states(t)["10.33.0.0/16", two] == "primary"
    note_answers(t, {one: False, two: False})
    assert states(t)["10.33.0.0/16", two] == "primary"
    note_answers(t, {one: True})
    assert states(t)["10.33.0.0/16", one] == "primary"


def test_a_router_that_is_gone_or_offline_is_not_silent() -> None:
    t = make_tailnet()
    one, _ = pair(t)
    assert note_answers(t, {99: False}) == []
    note_answers(t, {one: False})
    t.presence.forget(one)
    assert not t.presence.silent
    assert note_answers(t, {one: False}) == []
