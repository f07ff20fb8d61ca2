from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.policy.document import Text
from meshbox.policy.ipsets import MAX_DEPTH, MAX_RANGES, MAX_TARGETS, resolve_all
from meshbox.policy.problem import PolicyError, Spot
from meshbox.policy.ranges import INTERNET_SET
from meshbox.policy.spans import Span, SpanSet, parse_span

HOSTS = {
    name: span
    for name, text in {"printer": "10.0.0.9", "lab": "10.1.0.0/16"}.items()
    if (span := parse_span(text))
}


def resolve(**definitions: list[str]) -> dict[str, list[str]]:
    placed = {
        f"ipset:{name}": tuple(Text(target, Spot(line, 1)) for line, target in enumerate(targets, start=1))
        for name, targets in definitions.items()
    }
    return {name: [span.text for span in spans] for name, spans in resolve_all(placed, HOSTS).items()}


def refusal(**definitions: list[str]) -> tuple[str, Spot | None]:
    with pytest.raises(PolicyError) as caught:
        resolve(**definitions)
    return str(caught.value), caught.value.spot


def test_targets_of_every_kind() -> None:
    targets = ["10.0.0.1", "add fd00::/64", "10.0.2.5-10.0.2.9", "host:printer", "add ipset:other"]
    assert resolve(all=targets, other=["192.0.2.1"]) == {
        "ipset:all": ["10.0.0.1", "10.0.0.9", "10.0.2.5-10.0.2.9", "192.0.2.1", "fd00::/64"],
        "ipset:other": ["192.0.2.1"],
    }
    internet = resolve(net=["autogroup:internet"])["ipset:net"]
    assert SpanSet(span for text in internet for span in _spans(text)) == INTERNET_SET


def _spans(text: str) -> list[Span]:
    first, dash, last = text.partition("-")
    low = parse_span(first)
    high = parse_span(last) if dash else low
    assert low and high
    return [Span(low.family, low.low, high.high, text)]


def test_order_counts() -> None:
    assert resolve(x=["add 10.0.0.0/30", "remove 10.0.0.1"]) == {"ipset:x": ["10.0.0.0", "10.0.0.2/31"]}
    assert resolve(x=["remove 10.0.0.1", "add 10.0.0.0/30"]) == {"ipset:x": ["10.0.0.0/30"]}
    assert resolve(x=["add 10.0.0.0/30", "remove 10.0.0.0/30", "add 10.0.0.2"]) == {"ipset:x": ["10.0.0.2"]}


def test_an_empty_set_is_empty() -> None:
    assert resolve(x=[]) == {"ipset:x": []}


@pytest.mark.parametrize(
    ("targets", "part"),
    [
        (["10.0.0.0/8", "remove 10.0.0.1"], 'every target needs "add" or "remove"'),
        (["alice@example.com"], "not users"),
        (["tag:server"], "not users"),
        (["group:a"], "not users"),
        (["autogroup:member"], "not users"),
        (["*"], "not users"),
        (["host:nobody"], 'host not found: "nobody"'),
        (["ipset:nobody"], 'ipset not found: "ipset:nobody"'),
        (["10.0.0.300"], "invalid address"),
        (["10.0.0.9-10.0.0.1"], "invalid address"),
        (["10.0.0.1-fd00::1"], "invalid address"),
        (["add"], "invalid address"),
        (["ipset:x"], "ipset:x -> ipset:x"),
    ],
)
def test_refusals(targets: list[str], part: str) -> None:
    message, spot = refusal(x=targets)
    assert message.startswith('ipsets["ipset:x"]: ') and part in message
    assert spot == Spot(1, 1)


def test_circles_are_refused_with_their_way() -> None:
    message, spot = refusal(a=["10.0.0.1", "ipset:b"], b=["ipset:c"], c=["10.0.0.2", "10.0.0.3", "ipset:a"])
    assert "ipset:a -> ipset:b -> ipset:c -> ipset:a" in message
    assert spot == Spot(3, 1)


def test_hostile_sets_end_somewhere() -> None:
    deep = {f"s{n}": [f"ipset:s{n + 1}"] for n in range(MAX_DEPTH)} | {f"s{MAX_DEPTH}": ["10.0.0.1"]}
    assert "nested deeper" in refusal(**deep)[0]
    assert "more than" in refusal(x=["10.0.0.1"] * (MAX_TARGETS + 1))[0]
    comb = [f"10.{n >> 7}.{n % 128}.1" for n in range(MAX_TARGETS // 2)]
    many = {"s0": comb} | {f"s{n}": [f"ipset:s{n - 1}", f"ipset:s{n - 1}"] for n in range(1, 30)}
    assert f"more than {MAX_RANGES} ranges" in refusal(**many)[0]


@given(st.lists(st.tuples(st.sampled_from(["add", "remove"]), st.integers(0, 15), st.integers(0, 15))))
def test_the_same_as_one_address_at_a_time(steps: list[tuple[str, int, int]]) -> None:
    naive: set[int] = set()
    lines = []
    for verb, one, other in steps:
        low, high = sorted((one, other))
        lines.append(f"{verb} 10.0.0.{low}-10.0.0.{high}")
        (naive.update if verb == "add" else naive.difference_update)(range(low, high + 1))
    placed = {"ipset:x": tuple(map(Text, lines))}
    found = resolve_all(placed, {})["ipset:x"]
    assert {n for n in range(16) if found.contains(4, (10 << 24) + n)} == naive
