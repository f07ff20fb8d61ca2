from __future__ import annotations

from dataclasses import replace
from weakref import WeakValueDictionary

from meshbox.policy.outlook import NOTHING, Outlook, Outlooks
from meshbox.policy.sight import ids
from tests.policy.build import ANA, ANAS_PHONE, BOB, ROUTER, SPARE, WEB, acl, compiled, device


def test_alike_devices_share_one_outlook_and_others_do_not() -> None:
    outlooks = Outlooks(compiled(acls=[acl("ana@example.com", "tag:web:22")]), WeakValueDictionary())
    assert outlooks.of(ANA) is outlooks.of(ANAS_PHONE)
    assert ids(outlooks.of(ANA).view) == [WEB, SPARE]
    assert outlooks.of(BOB).view == 0
    assert outlooks.of(99) is NOTHING


def test_what_a_change_does_not_touch_stays_the_same_object() -> None:
    interned: WeakValueDictionary[object, Outlook] = WeakValueDictionary()
    before = compiled(acls=[acl("ana@example.com", "tag:web:22"), acl("bob@example.com", "10.33.0.0/16:*")])
    first = Outlooks(before, interned)
    told = {one: first.of(one) for one in (ANA, BOB)}
    second = Outlooks(before.with_device(device(9, user=2)), interned)
    assert second.of(ANA) is told[ANA] and second.of(BOB) is told[BOB]
    third = Outlooks(before.with_device(device(9, "tag:web")), interned)
    assert third.of(ANA) is not told[ANA] and third.of(BOB) is told[BOB]


def test_routers_that_are_shown_otherwise_are_found() -> None:
    rules = [acl("bob@example.com", "10.33.0.0/16:*")]
    before = compiled(acls=rules)
    interned: WeakValueDictionary[object, Outlook] = WeakValueDictionary()
    one = Outlooks(before, interned).of(BOB)
    gone = before.with_device(replace(before.index.devices[ROUTER], is_online=False))
    other = Outlooks(gone, interned).of(BOB)
    assert set(one.routes) == {ROUTER} and set(other.routes) == {SPARE}
    assert other.rerouted(one) == {ROUTER, SPARE} and one.rerouted(one) == set()
    assert ids(one.routers) == [ROUTER]


def test_a_device_without_ipv4_is_shown_no_ipv4() -> None:
    attrs = [{"target": ["bob@example.com"], "attr": ["disable-ipv4"]}]
    outlooks = Outlooks(compiled(nodeAttrs=attrs), WeakValueDictionary())
    assert not outlooks.of(BOB).shows_ipv4 and outlooks.of(ANA).shows_ipv4
