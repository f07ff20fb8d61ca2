from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.policy.compiled import compile_policy
from meshbox.policy.outlook import NOTHING
from meshbox.policy.sight import ids
from meshbox.tailnet import devices, report, users
from meshbox.tailnet.changes import Common, Dirty, Fact
from meshbox.tailnet.enforcement import STEPS_AT_MOST
from meshbox.tailnet.ports import Put
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, allow, join, machine, make_key, make_tailnet, map_request, policy

MINE = policy(acls=[allow("autogroup:member", "autogroup:self:*")])


def since(t: Tailnet, cursor: int) -> Dirty:
    found = t.changes.since(cursor)
    assert isinstance(found, Dirty)
    return found


def test_without_a_policy_all_see_all() -> None:
    t = make_tailnet()
    one, two = join(t, 1, make_key(t, "ana")), join(t, 2, make_key(t, "bo"))
    assert ids(t.enforcement.outlook(one.id).view) == [one.id, two.id]
    assert t.enforcement.outlook(99) is NOTHING


def test_nodes_are_followed_when_somebody_asks_and_the_log_says_whom_they_concern() -> None:
    t = make_tailnet()
    ana, bo = make_key(t, "ana", reusable=True), make_key(t, "bo")
    one, other = join(t, 1, ana), join(t, 2, bo)
    t.enforce(MINE)
    assert ids(t.enforcement.outlook(one.id).view) == [one.id]
    two = join(t, 3, ana)
    cursor = t.changes.cursor
    assert since(t, cursor).affected == 0
    assert ids(t.enforcement.outlook(one.id).view) == [one.id, two.id]
    affected = ids(since(t, cursor).affected)
    assert one.id in affected and other.id not in affected
    devices.delete(t, two.id, "test", NOW)
    assert ids(t.enforcement.outlook(one.id).view) == [one.id]
    assert t.enforcement.outlook(two.id) is NOTHING


@pytest.mark.parametrize("count", [2, STEPS_AT_MOST + 3])
def test_many_at_once_are_the_same_as_one_after_the_other(count: int) -> None:
    t = make_tailnet()
    key = make_key(t, "ana", reusable=True)
    first = join(t, 1, key)
    t.enforce(MINE)
    t.enforcement.outlook(first.id)
    joined = [join(t, number, key).id for number in range(2, 2 + count)]
    assert ids(t.enforcement.outlook(first.id).view) == [first.id, *joined]


def test_a_router_that_goes_offline_leaves_its_route_to_the_next() -> None:
    t = make_tailnet()
    key = make_key(t, "ana", reusable=True)
    nodes = [join(t, number, key) for number in (1, 2, 3)]
    for number in (1, 2):
        report.take(t, machine(number), map_request(number, routes=["10.33.0.0/16"]), NOW)
        node = t.nodes[nodes[number - 1].id]
        approved = replace(node, approved_routes=t.report(node.id).advertised_routes)
        t.commit(NOW, Put(approved))
    tokens = [t.presence.enter(node.id) for node in nodes]
    viewer = nodes[2].id
    assert set(t.enforcement.outlook(viewer).routes) == {nodes[0].id}
    cursor = t.changes.cursor
    t.presence.leave(tokens[0], NOW, 1.0)
    t.presence.settle(nodes[0].id, NOW + 1)
    assert set(t.enforcement.outlook(viewer).routes) == {nodes[1].id}
    told = since(t, cursor).nodes
    # Both are told that they are first for it, or no longer.
    assert all(told[node.id] & Fact.STANDING for node in nodes[:2]) and viewer not in told


def test_people_matter_to_rules_only() -> None:
    t = make_tailnet()
    key = make_key(t, "ana")
    one = join(t, 1, key)
    t.enforcement.outlook(one.id)
    cursor = t.changes.cursor
    make_key(t, "bo")
    assert not since(t, cursor).common & Common.POLICY
    t.enforce(policy(acls=[allow("anna@", "autogroup:self:*")]))
    assert not t.enforcement.compiled.filter(one.id)
    cursor = t.changes.cursor
    users.rename(t, t.by_user_name["ana"], "anna", "test", NOW)
    assert since(t, cursor).common & Common.POLICY
    assert t.enforcement.compiled.filter(one.id)


def test_a_peer_that_loses_its_ipv4_address_is_told_anew() -> None:
    t = make_tailnet()
    one, other = join(t, 1, make_key(t, "ana")), join(t, 2, make_key(t, "bo"))
    t.enforcement.outlook(one.id)
    cursor = t.changes.cursor
    t.enforce(policy(nodeAttrs=[{"target": ["bo@"], "attr": ["disable-ipv4"]}]))
    t.enforcement.outlook(one.id)
    assert since(t, cursor).nodes == {other.id: Fact.WHOLE}


def test_other_rules_and_people_over_the_same_devices_are_as_compiled_afresh() -> None:
    t = make_tailnet()
    keys = [make_key(t, "ana", reusable=True), make_key(t, "bo", reusable=True), make_key(t, tags=("tag:a",))]
    nodes = [join(t, number, key) for number, key in enumerate(keys, 1)]
    report.take(t, machine(2), map_request(2, routes=["10.33.0.0/16"]), NOW)
    t.commit(NOW, Put(replace(t.nodes[nodes[1].id], approved_routes=t.report(nodes[1].id).advertised_routes)))

    def check() -> None:
        now, fresh = t.enforcement.compiled, compile_policy(t.enforcement.document, t.world())
        for one in fresh.index.devices:
            assert now.view(one, t.everyone) == fresh.view(one, t.everyone)
            assert now.filter(one) == fresh.filter(one)
            assert now.shown_routes(one) == fresh.shown_routes(one)

    check()
    index = t.enforcement.compiled.index
    t.enforce(MINE)
    check()
    t.enforce(
        policy(acls=[allow("ana@", "10.33.0.0/16:*"), allow("bea@", "tag:a:22")], tagOwners={"tag:a": []})
    )
    check()
    users.rename(t, t.by_user_name["bo"], "bea", "test", NOW)
    check()
    assert t.enforcement.compiled.index is index
    assert t.enforcement.compiled.filter(nodes[2].id)
    t.enforce(MINE)
    devices.delete(t, nodes[0].id, "test", NOW)
    check()
