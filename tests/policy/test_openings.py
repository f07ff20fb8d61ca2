"""What is open, against the answer for single packets."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given, settings

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.openings import Cell, Doors, Opening, changes
from meshbox.policy.probe import explain
from meshbox.policy.sight import View, bit
from meshbox.policy.world import World
from tests.policy.build import ANA, BOB, ROUTER, SPARE, WEB, acl, compiled, grant
from tests.policy.worlds import parsed, policies, worlds

PACKETS = tuple(product((1, 6, 17, 132), (22, 85, 443, 5000)))


def holds(cells: dict[Cell, View], src: int, protocol: int, port: int) -> bool:
    return any(
        wanted == protocol and first <= port <= last and bool(senders & bit(src))
        for (wanted, first, last), senders in cells.items()
    )


@settings(max_examples=80, deadline=None)
@given(worlds(), policies(), policies())
def test_what_changes_is_what_packets_say(world: World, one: dict[str, Any], other: dict[str, Any]) -> None:
    old, new = (compile_policy(parsed(policy), world) for policy in (one, other))
    doors = Doors(old), Doors(new)
    for dst in world.devices:
        lost, gained = changes(*(each.of_device(dst) for each in doors))
        for src in world.devices.keys() - {dst}:
            for protocol, port in PACKETS:
                before, after = (allows(each, src, dst, port, protocol) for each in (old, new))
                assert holds(lost, src, protocol, port) is (before and not after)
                assert holds(gained, src, protocol, port) is (after and not before)


def allows(policy: Compiled, src: int, dst: int, port: int, protocol: int) -> bool:
    return explain(policy, src, dst, port, protocol).is_allowed


def test_a_rule_that_another_covers_changes_nothing() -> None:
    old = compiled(acls=[acl("*", "tag:web:*"), acl("ana@example.com", "tag:web:22")])
    new = compiled(acls=[acl("*", "tag:web:*")])
    assert changes(Doors(old).of_device(WEB), Doors(new).of_device(WEB)) == ({}, {})


def test_networks_count_whole_and_through_the_routers_named() -> None:
    found = compiled(
        acls=[acl("ana@example.com", "10.33.1.0/24:80")],
        grants=[grant("bob@example.com", "10.33.0.0/16", "22", via=["tag:router"])],
    )
    doors = Doors(found)
    (spans,) = {dest.spans for rule in found.table.rules[1:] for dest in rule.dests}  # type: ignore[union-attr]
    through, plain = doors.of_network(spans)
    assert through == Opening(bit(BOB), None, ((22, 22),))
    assert plain.senders & bit(ANA) and plain.ports == ((80, 80),)
    # A via rule is for what lies behind the routers, not for them.
    assert doors.of_device(ROUTER) == doors.of_device(SPARE) == ()
