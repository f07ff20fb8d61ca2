from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from meshbox.errors import Invalid
from meshbox.policy.world import Attribute
from meshbox.tailnet.attributes import COUNT_LIMIT, change
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, allow, join, make_key, make_tailnet, policy


@pytest.fixture
def t() -> Tailnet:
    t = make_tailnet()
    join(t, 1, make_key(t), "lab")
    return t


def put(t: Tailnet, wish: Mapping[str, Attribute | None]) -> Node:
    return change(t, t.nodes[1], wish, "test", NOW)


def test_they_are_set_changed_and_taken_away(t: Tailnet) -> None:
    put(t, {"custom:tier": "gold", "custom:score": 7, "custom:a.b_c-d": True})
    assert put(t, {"custom:tier": None, "custom:score": 8.5}).attributes == (
        ("custom:a.b_c-d", True),
        ("custom:score", 8.5),
    )
    assert put(t, {"custom:a.b_c-d": 1}).attributes[0][1] is not True, "a number is no truth"


def test_what_changes_nothing_writes_nothing(t: Tailnet) -> None:
    put(t, {"custom:tier": "gold"})
    written = len(t.store.since(0))
    put(t, {"custom:tier": "gold", "custom:other": None})
    assert len(t.store.since(0)) == written


@pytest.mark.parametrize(
    "wish",
    [
        {"node:os": "linux"},
        {"custom:": "x"},
        {"custom:a b": "x"},
        {"custom:" + "x" * 65: "x"},
        {"custom:x": "y" * 257},
        {"custom:x": "a\nb"},
        {"custom:x": 2**60},
        {"custom:x": float("inf")},
        {f"custom:x{number}": 1 for number in range(COUNT_LIMIT + 1)},
    ],
)
def test_what_cannot_be_set_changes_nothing(t: Tailnet, wish: dict[str, Attribute | None]) -> None:
    put(t, {"custom:tier": "gold"})
    with pytest.raises(Invalid):
        put(t, {"custom:fine": 1, **wish})
    assert t.nodes[1].attributes == (("custom:tier", "gold"),)


def test_a_posture_holds_as_soon_as_the_attribute_is_there(t: Tailnet) -> None:
    other = join(t, 2, make_key(t, "bo"), "desk")
    gold = allow("*", "*:*") | {"srcPosture": ["posture:gold"]}
    t.enforce(policy(acls=[gold], postures={"posture:gold": ["custom:tier == 'gold'"]}))
    assert not t.enforcement.outlook(other.id).view >> 1 & 1
    put(t, {"custom:tier": "gold"})
    assert t.enforcement.outlook(other.id).view >> 1 & 1


def test_listening_sessions_hear_of_what_an_attribute_opens(t: Tailnet) -> None:
    other = join(t, 2, make_key(t, "bo"), "desk")
    gold = allow("*", "*:*") | {"srcPosture": ["posture:gold"]}
    t.enforce(policy(acls=[gold], postures={"posture:gold": ["custom:tier == 'gold'"]}))
    poll = Poll(Mapper(t), other, "")
    poll.first(NOW)
    put(t, {"custom:tier": "gold"})
    assert b'"PacketFilter' in b"".join(poll.next(NOW)), "nobody else's news is needed for it"
    put(t, {"custom:tier": None})
    assert b'"PacketFilter' in b"".join(poll.next(NOW))


def test_listening_sessions_hear_of_what_a_client_reports(t: Tailnet) -> None:
    other = join(t, 2, make_key(t, "bo"), "desk")
    new = allow("*", "*:*") | {"srcPosture": ["posture:new"]}
    t.enforce(policy(acls=[new], postures={"posture:new": ["node:osVersion == '7'"]}))
    poll = Poll(Mapper(t), other, "")
    poll.first(NOW)
    t.tell(1, replace(t.report(1), hostinfo=b'{"OS":"linux","OSVersion":"7"}'))
    assert b'"PacketFilter' in b"".join(poll.next(NOW))
