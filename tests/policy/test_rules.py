from __future__ import annotations

from meshbox.policy.rules import Rule, SelfRule
from meshbox.policy.sight import ids
from tests.policy.build import ANA, ANAS_PHONE, ROUTER, SPARE, acl, compiled, grant


def shape(**sections: object) -> list[tuple[str, str]]:
    """Origin and kind of each rule."""
    return [
        (f"{rule.origin.section}{rule.origin.index}", "self" if isinstance(rule, SelfRule) else "all")
        for rule in compiled(**sections).table.rules
    ]


def test_grants_come_before_acls_and_oneself_last_where_others_are() -> None:
    assert shape(
        acls=[acl("*", "autogroup:self:* tag:web:22")],
        grants=[grant("*", "tag:web")],
    ) == [("grants0", "all"), ("acls0", "all"), ("acls0", "self")]
    assert shape(acls=[acl("*", "autogroup:self:* autogroup:member:22")]) == [
        ("acls0", "self"),
        ("acls0", "all"),
    ]


def test_no_sections_are_one_rule_and_empty_ones_none() -> None:
    assert shape() == [("default0", "all")]
    assert shape(acls=[]) == []
    assert shape(grants=[{"src": [], "dst": ["*"], "ip": ["*"]}]) == []


def test_protocols_of_a_grant_make_rules_in_the_order_they_are_named() -> None:
    rules = compiled(grants=[grant("*", "*", "tcp:1 22 tcp:2")]).table.rules
    assert [rule.protocol for rule in rules] == [6, None]
    assert isinstance(rules[0], Rule) and rules[0].ports == (((1, 1), (2, 2)),)


def test_shares_are_shown_back() -> None:
    rules = compiled(
        grants=[{"src": ["ana@example.com"], "dst": ["tag:router"], "app": {"tailscale.com/cap/drive": [{}]}}]
    ).table.rules
    assert [list(rule.caps or ()) for rule in rules] == [
        ["tailscale.com/cap/drive"],
        ["tailscale.com/cap/drive-sharer"],
    ]
    assert isinstance(rules[1], Rule)
    assert ids(rules[1].source.covered) == [ROUTER, SPARE] and ids(rules[1].receivers) == [ANA, ANAS_PHONE]


def test_files_are_sent_under_the_name_that_clients_know() -> None:
    send = {"tailscale.com/cap/file-send": [{}], "example.com/cap/x": []}
    rules = compiled(
        grants=[{"src": ["ana@example.com"], "dst": ["autogroup:self"], "app": send}]
    ).table.rules
    assert [rule.caps for rule in rules] == [
        {"https://tailscale.com/cap/file-send": [{}], "example.com/cap/x": []},
        {"https://tailscale.com/cap/file-sharing-target": None},
    ]


def test_merged_rules_stand_where_the_first_of_them_does() -> None:
    table = compiled(acls=[acl("tag:web", "*:1"), acl("*", "*:2"), acl("tag:web", "*:3")]).table
    assert table.leaders == (0, 1, 0)


def test_an_origin_names_its_place() -> None:
    rule = compiled(acls=[acl("*", "*:1")]).table.rules[0]
    assert str(rule.origin).startswith("acls[0] (line 1, column ")
