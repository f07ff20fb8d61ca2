from __future__ import annotations

from ipaddress import ip_network

from meshbox.policy.approve import approved_routes, may_tag_as_person, may_tag_as_tags
from meshbox.policy.resolve import Resolver
from tests.policy.build import TAG_OWNERS, device, document, world


def test_a_route_under_an_approved_prefix_approves_itself() -> None:
    policy = document(autoApprovers={"routes": {"10.0.0.0/8": ["tag:router"], "0.0.0.0/0": ["tag:exit"]}})
    resolver = Resolver(policy, world())
    offers = ("10.33.0.0/16", "192.168.0.0/16", "0.0.0.0/0")
    assert approved_routes(policy, resolver, device(9, "tag:router", routes=offers)) == (
        ip_network("10.33.0.0/16"),
    )
    # A /0 under routes is a prefix that holds every subnet, and no exit route.
    assert approved_routes(policy, resolver, device(9, "tag:exit", routes=offers)) == (
        ip_network("10.33.0.0/16"),
        ip_network("192.168.0.0/16"),
    )


def test_exit_routes_are_decided_by_exit_node_alone() -> None:
    policy = document(autoApprovers={"exitNode": ["ana@example.com"]})
    resolver = Resolver(policy, world())
    both = ("0.0.0.0/0", "::/0")
    assert len(approved_routes(policy, resolver, device(9, user=1, routes=both))) == 2
    assert approved_routes(policy, resolver, device(9, user=2, routes=both)) == ()
    # Tagging takes the person away.
    assert approved_routes(policy, resolver, device(9, "tag:exit", routes=both)) == ()


def test_owners_and_administrators_put_on_tags() -> None:
    policy = document(tagOwners={**TAG_OWNERS, "tag:ops": ["cyd@example.org"]})
    resolver = Resolver(policy, world())
    assert may_tag_as_person(policy, resolver, 3, "tag:OPS")
    assert not may_tag_as_person(policy, resolver, 3, "tag:web")
    assert may_tag_as_person(policy, resolver, 2, "tag:exit")
    assert not may_tag_as_person(policy, resolver, 1, "tag:nobody-defined")
    assert not may_tag_as_person(policy, resolver, 99, "tag:web")


def test_tags_own_tags_through_others_and_in_circles() -> None:
    policy = document(tagOwners={"tag:a": ["tag:b"], "tag:b": ["tag:c"], "tag:c": ["tag:c"]})
    assert may_tag_as_tags(policy, frozenset({"tag:c"}), frozenset({"tag:a"}))
    assert not may_tag_as_tags(policy, frozenset({"tag:a"}), frozenset({"tag:c"}))
    assert may_tag_as_tags(policy, frozenset({"tag:a"}), frozenset({"tag:a"}))
    assert not may_tag_as_tags(policy, frozenset({"tag:a"}), frozenset({"tag:a", "tag:b"}))
