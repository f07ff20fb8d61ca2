from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings

from meshbox.policy.compiled import compile_policy
from meshbox.policy.contrast import ELSEWHERE, EVERYBODY, MAX_ROWS, Contrast, Row, contrast
from meshbox.policy.probe import explain
from meshbox.policy.reading import read
from meshbox.policy.world import Device, Person, World
from meshbox.wire import hujson
from tests.policy.build import ANA, BOB, CYD, WEB, acl, compiled, grant
from tests.policy.worlds import parsed, policies, worlds


def test_equal_policies_differ_in_nothing() -> None:
    one = compiled(acls=[acl("*", "tag:web:22"), acl("ana@example.com", "*:*")])
    other = compiled(acls=[acl("ana@example.com", "*:*"), acl("*", "tag:web:22"), acl("*", "tag:web:22")])
    assert contrast(one, other) == Contrast()


def test_pairs_are_grouped_by_whose_devices_they_are() -> None:
    old = compiled(acls=[acl("ana@example.com", "tag:web:22"), acl("bob@example.com", "tag:web:80")])
    new = compiled(acls=[acl("ana@example.com", "tag:web:22"), acl("bob@example.com", "tag:web:81")])
    found = contrast(old, new)
    assert found.lost.rows == (
        Row("bob@example.com", "tag:router,tag:web", "80", 1, (BOB, 7)),
        Row("bob@example.com", "tag:web", "80", 1, (BOB, WEB)),
    )
    assert (found.lost.pairs, found.gained.pairs) == (2, 2)
    assert {row.ports for row in found.gained.rows} == {"81"}


def test_networks_and_everybody_are_named() -> None:
    old = compiled(acls=[])
    new = compiled(acls=[acl("*", "10.33.0.0/16:443"), acl("*", "tag:exit:*")])
    found = contrast(old, new)
    assert found.lost.pairs == 0
    rows = {(row.src, row.dst, row.ports): row for row in found.gained.rows}
    assert rows[EVERYBODY, "10.33.0.0/16", "443"].pairs == 8
    assert rows[EVERYBODY, "10.33.0.0/16", "443"].example == (ANA, None)
    assert rows[EVERYBODY, "tag:exit", "*"].pairs == 7


def test_oneself_is_no_pair() -> None:
    old, new = compiled(acls=[]), compiled(acls=[acl("cyd@example.org", "autogroup:self:*")])
    assert contrast(old, new) == Contrast()
    assert contrast(old, compiled(acls=[acl("ana@example.com", "autogroup:self:*")])).gained.pairs == 2


def test_what_only_shows_devices_to_each_other_opens_nothing() -> None:
    old = compiled(acls=[])
    app = {"src": ["*"], "dst": ["tag:web"], "app": {"example.com/cap/x": [{}]}}
    assert contrast(old, compiled(acls=[], grants=[app])) == Contrast()
    assert contrast(old, compiled(acls=[], grants=[grant("cyd@example.org", "tag:web", "22")])).gained.rows[
        0
    ].example == (CYD, 7)


@settings(max_examples=60, deadline=None)
@given(worlds(), policies(), policies())
def test_pairs_are_those_of_which_a_packet_is_treated_otherwise(
    world: World, one: dict[str, Any], other: dict[str, Any]
) -> None:
    old, new = (compile_policy(parsed(policy), world) for policy in (one, other))
    found = contrast(old, new)
    devices = [row for row in found.lost.rows if row.example[1] is not None]
    pairs = {
        (src, dst)
        for src in world.devices
        for dst in world.devices.keys() - {src}
        for protocol in (1, 6, 17, 132)
        for port in (1, 22, 80, 85, 90, 443, 65535)
        if explain(old, src, dst, port, protocol).is_allowed
        and not explain(new, src, dst, port, protocol).is_allowed
    }
    assert {row.example for row in devices} <= pairs
    assert sum(row.pairs for row in devices) == len(pairs) or found.lost.row_count > MAX_ROWS


def test_a_thousand_users_are_a_number() -> None:
    people = {one: Person(one, f"u{one}@example.com") for one in range(1, 1001)}
    devices = {one: Device(one, one, ipv4=hundred(one)) for one in people}
    world = World(people, devices)

    def of(acls: list[dict[str, Any]]) -> Any:
        group = [f"u{one}@example.com" for one in range(1, 501)]
        text = json.dumps({"groups": {"group:half": group}, "acls": acls})
        return compile_policy(read(hujson.parse(text)), world)

    found = contrast(of([acl("*", "*:*")]), of([acl("group:half", "u1@example.com:22")]))
    assert found.lost.pairs == 1000 * 999 and found.gained.pairs == 0
    assert found.lost.rows == (
        Row(EVERYBODY, "devices of 999 users and tags", "*", 999 * 999, (1, 2)),
        # The last is what is nobody's address.
        Row(EVERYBODY, ELSEWHERE, "*", 1000, (1, None)),
        # Of u1 half of the others keep port 22.
        Row("500 devices of many", "u1@example.com", "*", 500, (501, 1)),
        Row("499 devices of many", "u1@example.com", "0-21,23-65535", 499, (2, 1)),
    )


def hundred(number: int) -> Any:
    from ipaddress import IPv4Address

    return IPv4Address("100.64.0.0") + number
