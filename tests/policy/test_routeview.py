from __future__ import annotations

from tests.policy.build import ANA, BOB, CYD, EXIT, ROUTER, SPARE, WEB, acl, compiled, grant


def shown(viewer: int, **sections: object) -> dict[int, list[str]]:
    found = compiled(**sections).shown_routes(viewer)
    return {router: list(map(str, routes)) for router, routes in found.items()}


def test_the_carrier_shows_a_route_to_those_who_may_use_it() -> None:
    rules = [acl("ana@example.com", "10.33.0.0/16:*"), acl("bob@example.com", "tag:router:22")]
    assert shown(ANA, acls=rules) == {ROUTER: ["10.33.0.0/16"]}
    assert shown(BOB, acls=rules) == {}
    # Who serves the same route has it on the carrier too, if it sees that.
    assert shown(SPARE, acls=[*rules, acl("tag:router", "tag:router:22")]) == {ROUTER: ["10.33.0.0/16"]}


def test_answers_go_the_same_way() -> None:
    assert shown(BOB, acls=[acl("10.33.0.0/16", "bob@example.com:22")]) == {ROUTER: ["10.33.0.0/16"]}


def test_via_picks_among_its_own_routers_unless_a_plain_rule_holds() -> None:
    via = grant("ana@example.com", "10.33.0.0/16", via=["tag:web"])
    assert shown(ANA, grants=[via]) == {SPARE: ["10.33.0.0/16"]}
    assert shown(BOB, grants=[via]) == {}
    plain = grant("ana@example.com", "10.33.1.1")
    assert shown(ANA, grants=[via, plain]) == {ROUTER: ["10.33.0.0/16"]}


def test_exit_nodes_are_for_those_who_may_use_the_internet() -> None:
    rules = [acl("ana@example.com", "autogroup:internet:*"), acl("bob@example.com", "8.8.8.8:53 tag:exit:22")]
    assert shown(ANA, acls=rules) == {EXIT: ["0.0.0.0/0", "::/0"]}
    assert shown(BOB, acls=rules) == {}
    via = grant("cyd@example.org", "autogroup:internet", via=["tag:web"])
    assert shown(CYD, grants=[via]) == {}


def test_primary_routes() -> None:
    routes = compiled().routes
    assert list(map(str, routes.primary_routes(ROUTER))) == ["10.33.0.0/16"]
    assert routes.primary_routes(SPARE) == [] and routes.primary_routes(WEB) == []
