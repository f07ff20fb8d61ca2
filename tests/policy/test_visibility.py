from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.policy import visibility
from meshbox.policy.compiled import compile_policy
from meshbox.policy.sight import ids
from meshbox.policy.visibility import STEPS_KEPT
from meshbox.policy.world import World
from tests.policy.build import ANA, ANAS_PHONE, BOB, CYD, EXIT, ROUTER, SPARE, WEB, acl, compiled, device
from tests.policy.worlds import devices, parsed, policies, worlds


def seen(viewer: int, **sections: object) -> list[int]:
    return ids(compiled(**sections).visibility.view(viewer))


def test_both_ends_of_a_rule_see_each_other() -> None:
    rules = [acl("ana@example.com", "tag:web:22")]
    assert seen(ANA, acls=rules) == [WEB, SPARE]
    assert seen(WEB, acls=rules) == [ANA, ANAS_PHONE]
    assert seen(BOB, acls=rules) == []


def test_networks_make_their_routers_visible() -> None:
    assert seen(BOB, acls=[acl("bob@example.com", "10.33.1.1:22")]) == [ROUTER, SPARE]
    assert seen(BOB, acls=[acl("10.33.0.0/16", "bob@example.com:22")]) == [ROUTER, SPARE]
    assert seen(CYD, acls=[acl("cyd@example.org", "autogroup:internet:*")]) == [EXIT]


def test_oneself_is_ones_own_untagged_devices() -> None:
    rules = [acl("autogroup:member", "autogroup:self:*")]
    assert seen(ANA, acls=rules) == [ANAS_PHONE]
    assert seen(WEB, acls=rules) == []


def test_alike_devices_share_a_class() -> None:
    visibility = compiled(acls=[acl("ana@example.com", "tag:web:22")]).visibility
    assert visibility.class_of(ANA) == visibility.class_of(ANAS_PHONE)
    assert visibility.class_of(ANA) != visibility.class_of(BOB)


@settings(max_examples=60, deadline=None)
@given(policies(), worlds(), st.data())
def test_a_view_that_missed_steps_equals_a_fresh_one(
    policy: dict[str, Any], world: World, data: st.DataObject
) -> None:
    """Some views are asked for after each step, others never or late, and old snapshots stay as they were."""
    document = parsed(policy)
    now = dict(world.devices)
    snapshot = compile_policy(document, world)
    moments = [(snapshot, dict(now))]
    for _ in range(data.draw(st.integers(1, 8))):
        for one in data.draw(st.sets(st.sampled_from(sorted(now)), max_size=3)) if now else ():
            snapshot.visibility.view(one)
        number = data.draw(st.integers(1, 9))
        if number in now and data.draw(st.booleans()):
            del now[number]
            snapshot = snapshot.without_device(number)
        else:
            now[number] = data.draw(devices(number))
            snapshot = snapshot.with_device(now[number])
        moments.append((snapshot, dict(now)))
    for kept, then in reversed(moments):
        fresh = compile_policy(document, World(world.people, then)).visibility
        assert {one: kept.visibility.view(one) for one in then} == {one: fresh.view(one) for one in then}


def test_a_view_that_missed_too_many_steps_is_computed_afresh() -> None:
    snapshot = compiled(acls=[acl("ana@example.com", "tag:web:22")])
    snapshot.visibility.view(ANA)
    for number in range(50, 51 + STEPS_KEPT):
        snapshot = snapshot.with_device(device(number, "tag:web"))
    assert ids(snapshot.visibility.view(ANA)) == [WEB, SPARE, *range(50, 51 + STEPS_KEPT)]
    assert ids(snapshot.without_device(50).visibility.view(ANAS_PHONE))[2] == 51


@pytest.mark.parametrize("rows", [1, 2, 5, 512])
def test_marks_are_the_same_however_many_rows_are_turned_at_once(
    monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(visibility, "ROWS", rows)
    found = compiled(
        acls=[acl("ana@example.com", "tag:web:22"), acl("*", "10.33.0.0/16:*"), acl("tag:web", "*:80")]
    ).visibility
    sides = [side for pair in found.pairs for side in pair]
    assert len(sides) == 6
    for one in found.index.devices:
        assert found.class_of(one)[0] == "".join(str(side >> one & 1) for side in sides)
        assert found.received(one) == tuple(n for n, pair in enumerate(found.pairs) if pair[1] >> one & 1)
