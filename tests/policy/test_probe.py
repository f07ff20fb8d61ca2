from __future__ import annotations

from ipaddress import ip_address

from meshbox.policy.probe import explain
from tests.policy.build import ANA, ANAS_PHONE, BOB, ROUTER, WEB, acl, compiled, grant


def test_the_rule_that_decides_is_named() -> None:
    found = compiled(acls=[acl("*", "tag:exit:22"), acl("ana@example.com", "tag:web:22,80-90")])
    decision = explain(found, ANA, WEB, 85)
    assert decision.is_allowed and decision.origin is not None and decision.origin.index == 1
    assert not explain(found, ANA, WEB, 443).is_allowed
    assert not explain(found, BOB, WEB, 22).is_allowed
    assert explain(found, ip_address("100.64.0.1"), ip_address("100.64.0.5"), 22).is_allowed
    assert not explain(found, ANA, WEB, 22, protocol=132).is_allowed


def test_oneself_and_via() -> None:
    found = compiled(
        acls=[acl("*", "autogroup:self:*")],
        grants=[grant("bob@example.com", "10.33.0.0/16", "22", via=["tag:router"])],
    )
    assert explain(found, ANA, ANAS_PHONE, 1).is_allowed and not explain(found, ANA, BOB, 1).is_allowed
    assert explain(found, BOB, ip_address("10.33.0.9"), 22).is_allowed
    assert not explain(found, BOB, ip_address("10.34.0.9"), 22).is_allowed
    assert not explain(found, BOB, ROUTER, 22).is_allowed


def test_icmp_asks_for_no_port() -> None:
    found = compiled(acls=[acl("ana@example.com", "tag:web:22")])
    assert explain(found, ANA, WEB, 0, protocol=1).is_allowed
