from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.policy.document import Text
from meshbox.policy.postures import BadExpression, compare_versions, meets, parse, parse_expression
from meshbox.policy.problem import PolicyError, Spot
from meshbox.policy.world import Attribute

DEVICE: Mapping[str, Attribute] = {
    "node:os": "linux",
    "node:osVersion": "6.12.9",
    "node:tsVersion": "1.90.10",
    "node:tsAutoUpdate": True,
    "custom:score": 70,
    "custom:tier": "gold",
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("node:os == 'linux'", True),
        ('node:os == "linux"', True),
        ("node:os=='Linux'", False),
        ("node:os != 'macos'", True),
        ("node:os IN ['macos', 'linux']", True),
        ("node:os IN []", False),
        ("node:os NOT IN ['macos','windows']", True),
        ("node:os NOT IN ['linux']", False),
        ("node:tsVersion >= '1.90'", True),
        ("node:tsVersion >= '1.90.9'", True),
        ("node:tsVersion > '1.100'", False),
        ("node:tsVersion < '1.9'", False),
        ("node:tsVersion == '1.90.10'", True),
        ("node:osVersion <= '6.12.9'", True),
        ("node:tsAutoUpdate == true", True),
        ("node:tsAutoUpdate != true", False),
        ("node:tsAutoUpdate == 1", False),
        ("custom:score >= 70", True),
        ("custom:score > 70", False),
        ("custom:score < 70.5", True),
        ("custom:score == '70'", False),
        ("custom:score IN [1, 70]", True),
        ("custom:tier > 1", False),
        ("custom:tier IS SET", True),
        ("custom:tier NOT SET", False),
        ("custom:lost NOT  SET", True),
        ("custom:lost IS SET", False),
        ("custom:lost == 'x'", False),
        ("custom:lost != 'x'", False),
        ("custom:lost NOT IN ['x']", False),
        ("custom:lost < 3", False),
    ],
)
def test_expressions(text: str, holds: bool) -> None:
    assert parse_expression(text).holds(DEVICE) is holds


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "expected an attribute"),
        ("node:os", "expected an attribute"),
        ("os == 'linux'", "expected an attribute"),
        ("node:os = 'linux'", "expected an attribute"),
        ("node:os == linux", "in quotes"),
        ("node:os == ", "in quotes"),
        ("node:os == 'a' 'b'", "expected the end"),
        ("node:os == 'a' || node:os == 'b'", "expected the end"),
        ("node:os IN 'linux'", "expected an attribute"),
        ("node:os IN ['a' 'b']", "expected a comma"),
        ("node:os IN ['a',,]", "in quotes"),
        ("node:os > 'linux'", "numbers and versions only"),
        ("node:tsVersion >= 1.90", "a version is written in quotes"),
        ("node:nosuch == 'x'", 'attribute not found: "node:nosuch"'),
        ("ip:country == 'SE'", 'no "ip:" attributes'),
        ("falcon:ztaScore >= 70", 'no "falcon:" attributes'),
        ("custom:x == '" + "a" * 2000 + "'", "longer than"),
    ],
)
def test_refused_expressions(text: str, part: str) -> None:
    with pytest.raises(BadExpression, match=part.replace("(", r"\(")):
        parse_expression(text)


def test_all_of_a_posture_must_hold() -> None:
    posture = parse([Text("node:os == 'linux'"), Text("custom:score > 50")])
    assert meets(posture, DEVICE)
    assert not meets(posture, {**DEVICE, "custom:score": 50})
    assert meets(parse([]), {})


def test_refusals_carry_their_place() -> None:
    with pytest.raises(PolicyError, match='posture expression "nonsense": expected') as caught:
        parse([Text("node:os IS SET", Spot(3, 5)), Text("nonsense", Spot(4, 5))])
    assert caught.value.spot == Spot(4, 5)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("1.9", "1.10"),
        ("12", "12.0"),
        ("1.90.0", "1.90.0-t1"),
        ("1.2", "1.2.1"),
        ("", "0.1"),
        ("9" * 5000, "1" + "0" * 5000),
    ],
)
def test_versions_are_ordered_by_their_numbers(low: str, high: str) -> None:
    assert compare_versions(low, high) < 0 < compare_versions(high, low)


def test_leading_zeros_change_no_version() -> None:
    assert compare_versions("1.01", "1.1") == 0


versions = st.text(st.sampled_from("019.-a"), max_size=8)


@given(versions, versions, versions)
def test_versions_have_one_order(one: str, two: str, three: str) -> None:
    assert compare_versions(one, one) == 0
    assert compare_versions(one, two) == -compare_versions(two, one)
    if compare_versions(one, two) <= 0 and compare_versions(two, three) <= 0:
        assert compare_versions(one, three) <= 0


@given(st.text(st.sampled_from("node:scutmIN STO[]'\",=<>!1.5"), max_size=40) | st.text())
def test_arbitrary_text_is_read_or_refused(text: str) -> None:
    try:
        expression = parse_expression(text)
    except BadExpression:
        return
    assert expression.holds(DEVICE) in (True, False)
