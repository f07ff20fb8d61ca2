from __future__ import annotations

from meshbox.policy.sight import ids
from tests.policy.build import ANA, ANAS_PHONE, BOB, CYD, EXIT, ROUTER, SPARE, WEB, acl, compiled


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
