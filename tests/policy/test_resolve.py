from __future__ import annotations

import pytest

from meshbox.policy.problem import PolicyError
from meshbox.policy.resolve import Resolver, check_people
from meshbox.policy.selectors import Names
from meshbox.policy.sight import bit, ids
from meshbox.policy.world import Person, World
from tests.policy.build import ANA, ANAS_PHONE, BOB, CYD, DEVICES, SPARE, WEB, acl, document, world

POLICY = document(
    groups={"group:dev": ["ana@example.com", "ghost@example.com"], "group:none": []},
    hosts={"web": "100.64.0.5"},
    ipsets={"ipset:some": ["100.64.0.1-100.64.0.2"]},
)
NAMES = Names({*POLICY.groups, "group:ops@example.com"}, POLICY.tag_owners, POLICY.hosts, POLICY.ipsets)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ana@example.com", [ANA, ANAS_PHONE]),
        ("bob@", [BOB]),
        ("ghost@example.com", []),
        ("group:dev", [ANA, ANAS_PHONE]),
        ("group:none", []),
        ("group:ops@example.com", [CYD]),
        ("user:*@example.com", [ANA, ANAS_PHONE, BOB]),
        ("tag:WEB", [WEB, SPARE]),
        ("autogroup:owner", [ANA, ANAS_PHONE]),
        ("autogroup:admin", [ANA, ANAS_PHONE, BOB]),
        ("autogroup:member", [ANA, ANAS_PHONE, BOB, CYD]),
        ("autogroup:shared", []),
        ("web", [WEB]),
        ("ipset:some", [ANA, ANAS_PHONE]),
        ("*", [one.id for one in DEVICES]),
    ],
)
def test_selectors(text: str, found: list[int]) -> None:
    resolver = Resolver(POLICY, world())
    selector = NAMES.parse(text)
    assert ids(resolver.nodes(selector)) == found
    assert [one.id for one in DEVICES if resolver.matches(selector, one)] == found


def test_two_people_of_one_name_are_nobody() -> None:
    people = {1: Person(1, "x@example.com"), 2: Person(2, "x@example.com")}
    twins = World(people, {one.id: one for one in DEVICES[:3]})
    resolver = Resolver(POLICY, twins)
    assert resolver.nodes(NAMES.parse("x@example.com")) == 0
    with pytest.raises(PolicyError, match="ambiguous"):
        check_people(document(acls=[acl("x@example.com", "*:*")]), twins)


def test_an_identity_stands_for_untagged_devices_only() -> None:
    resolver = Resolver(POLICY, world())
    assert not resolver.nodes(NAMES.parse("autogroup:member")) & bit(WEB)
