from __future__ import annotations

import pytest

from meshbox.errors import Invalid
from meshbox.tailnet import report, routes
from meshbox.tailnet.routes import EXIT_ROUTES, parse_routes
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request, policy

LAN, SITE = parse_routes(["10.33.0.0/16", "fd7a:115c:a1e0:b1a:0:7:a01:0/112"])


def router(t: Tailnet, number: int, *offered: str, online: bool = True) -> int:
    node = join(t, number, make_key(t, "ana"), f"router{number}")
    report.take(t, machine(number), map_request(number, f"router{number}", routes=list(offered)), NOW)
    if online:
        t.presence.enter(node.id)
    return node.id


def states(t: Tailnet) -> dict[tuple[str, int], str]:
    return {(str(one.route), one.node.id): one.state for one in routes.list_routes(t)}


def test_routes_are_read_as_people_write_them() -> None:
    assert parse_routes(["exit", " 10.33.0.0/16"]) == (*EXIT_ROUTES, LAN)
    assert parse_routes(["::/0"]) == EXIT_ROUTES, "an exit node is one in both families"
    for wrong in ("10.33.0.1/16", "lan", "", "10.0.0.0/33"):
        with pytest.raises(Invalid, match=r"is not a route: .*write a network as"):
            parse_routes([wrong])


def test_a_route_goes_from_waiting_to_primary_and_back() -> None:
    t = make_tailnet()
    one = router(t, 1, "10.33.0.0/16")
    assert states(t) == {("10.33.0.0/16", one): "waiting"}
    assert routes.approve(t, one, [LAN], "test", NOW).approved_routes == (LAN,)
    assert states(t) == {("10.33.0.0/16", one): "primary"}
    two = router(t, 2, "10.33.0.0/16")
    routes.approve(t, two, [LAN], "test", NOW)
    assert states(t)["10.33.0.0/16", two] == "standby"
    report.take(t, machine(2), map_request(2, routes=[]), NOW)
    assert states(t)["10.33.0.0/16", two] == "not offered"
    assert routes.withdraw(t, one, [LAN], "test", NOW).approved_routes == ()
    assert states(t)["10.33.0.0/16", one] == "waiting"
    with pytest.raises(Invalid, match="is not approved for"):
        routes.withdraw(t, one, [LAN], "test", NOW)


def test_routes_into_the_tailnet_itself_are_refused_but_for_4via6() -> None:
    t = make_tailnet()
    one = router(t, 1)
    for inside in ("100.64.0.0/24", "100.0.0.0/8", "fd7a:115c:a1e0::/64"):
        with pytest.raises(Invalid, match="where the nodes themselves are"):
            routes.approve(t, one, parse_routes([inside]), "test", NOW)
    assert routes.approve(t, one, [SITE, *EXIT_ROUTES], "test", NOW).approved_routes == (SITE, *EXIT_ROUTES)


def test_whoever_took_over_keeps_the_route_when_the_first_one_comes_back() -> None:
    t = make_tailnet()
    one, two = router(t, 1, "10.33.0.0/16", online=False), router(t, 2, "10.33.0.0/16")
    for node_id in (one, two):
        routes.approve(t, node_id, [LAN], "test", NOW)
    assert states(t)["10.33.0.0/16", two] == "primary"
    token = t.presence.enter(one)
    assert states(t)["10.33.0.0/16", two] == "primary", "every change breaks connections"
    other = t.presence.enter(two)
    del other
    t.presence.forget(two)
    t.enforcement.touch(two)
    assert states(t)["10.33.0.0/16", one] == "primary"
    t.presence.leave(token, NOW, 0)


def test_the_policy_approves_when_a_route_is_offered_and_only_what_it_may() -> None:
    t = make_tailnet()
    t.enforce(policy(autoApprovers={"routes": {"10.0.0.0/8": ["ana@"]}, "exitNode": ["tag:exit"]},
                     tagOwners={"tag:exit": []}))  # fmt: skip
    one = router(t, 1, "10.33.0.0/16", "192.168.7.0/24", "0.0.0.0/0", "::/0")
    assert t.nodes[one].approved_routes == (LAN,)
    # An administrator's decision stands until the node offers something else.
    routes.withdraw(t, one, [LAN], "test", NOW)
    report.take(t, machine(1), map_request(1, "router1", routes=["10.33.0.0/16"], derp=900), NOW)
    assert t.nodes[one].approved_routes == (LAN,)


def test_a_new_policy_approves_what_is_offered_already_and_takes_nothing_away() -> None:
    t = make_tailnet()
    one = router(t, 1, "10.33.0.0/16")
    t.enforce(policy(autoApprovers={"routes": {"10.0.0.0/8": ["ana@"]}}))
    routes.approve_by_policy(t, t.nodes, NOW)
    assert t.nodes[one].approved_routes == (LAN,)
    t.enforce(None)
    routes.approve_by_policy(t, t.nodes, NOW)
    assert t.nodes[one].approved_routes == (LAN,)
