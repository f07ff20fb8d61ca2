from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.policy.spans import (
    Span,
    SpanSet,
    make_span,
    parse_range,
    parse_span,
    range_span,
    span_of_prefix,
)


def spans() -> st.SearchStrategy[Span]:
    pair = st.tuples(st.integers(0, 60), st.integers(0, 60))
    return pair.map(lambda one: make_span(4, min(one), max(one)))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("10.0.0.1", "10.0.0.1"),
        ("10.0.0.1/32", "10.0.0.1"),
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("fd7a::1", "fd7a::1"),
    ],
)
def test_addresses_and_prefixes(text: str, written: str) -> None:
    span = parse_span(text)
    assert span is not None and span.text == written


@pytest.mark.parametrize(
    "text", ["", "x", "1.2.3", "10.0.0.0/33", "10.0.0.0/255.0.0.0", "fe80::1%eth0", "fe80::%1/64", "1.1.1.1/"]
)
def test_nonsense_is_no_address(text: str) -> None:
    assert parse_span(text) is None


def test_a_range_is_of_one_family_and_in_order() -> None:
    assert parse_range("10.0.0.0-10.0.0.255") == span_of_prefix(ip_network("10.0.0.0/24"))
    assert parse_range("10.0.0.9-10.0.0.1") is None
    assert parse_range("10.0.0.1-fd7a::1") is None
    assert parse_range("10.0.0.0/24-10.0.1.0") is None


def test_spellings() -> None:
    assert make_span(4, 0x0A000001, 0x0A000002).text == "10.0.0.1-10.0.0.2"
    assert make_span(4, 0x0A000000, 0x0A0000FF).text == "10.0.0.0/24"
    assert range_span(4, 0x0A000000, 0x0A0000FF).text == "10.0.0.0-10.0.0.255"
    assert [str(one) for one in make_span(4, 0x0A000001, 0x0A000004).prefixes()] == [
        "10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/32",
    ]  # fmt: skip


@given(st.lists(spans()), st.lists(spans()))
def test_sets_are_sets(left: list[Span], right: list[Span]) -> None:
    def values(of: list[Span]) -> set[int]:
        return {value for span in of for value in range(span.low, span.high + 1)}

    one, other = SpanSet(left), SpanSet(right)
    inside = [value for value in range(62) if one.contains(4, value)]
    assert set(inside) == values(left)
    assert values(list(one.union(other))) == values(left) | values(right)
    assert values(list(one.minus(other))) == values(left) - values(right)
    for span in right:
        assert one.overlaps(span) == bool(values(left) & values([span]))
        assert one.covers(span) == (values([span]) <= values(left))
    assert bool(one) == bool(left)
    assert SpanSet(reversed(left)) == one and hash(SpanSet(reversed(left))) == hash(one)
