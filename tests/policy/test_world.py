from __future__ import annotations

from meshbox.policy.world import Person
from tests.policy.build import DEVICES, EXIT, ROUTER, world


def test_exit_routes_are_apart_from_subnets() -> None:
    exit_node, router = DEVICES[EXIT - 1], DEVICES[ROUTER - 1]
    assert exit_node.subnet_routes == () and len(exit_node.exit_routes) == 2
    assert len(router.subnet_routes) == 1 and router.exit_routes == ()
    assert len(router.addresses) == 2


def test_people_have_domains_and_groups() -> None:
    assert Person(1, "a+b@x.org").domain == "x.org"
    assert Person(1, "", "ana").domain == ""
    assert world().groups() == {"group:ops@example.com"}
