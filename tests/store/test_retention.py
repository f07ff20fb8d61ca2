from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from meshbox.store.retention import Rule, kept

START = datetime(2026, 11, 25, 12, tzinfo=UTC)


def hourly(days: int) -> list[float]:
    return [(START - timedelta(hours=number)).timestamp() for number in range(24 * days)]


def days_ago(moments: dict[float, str]) -> list[float]:
    return [round((START.timestamp() - at) / 86_400, 1) for at in sorted(moments, reverse=True)]


def test_the_newest_few() -> None:
    assert days_ago(kept(hourly(3), Rule(3, 0, 0, 0))) == [0.0, 0.0, 0.1]


def test_the_last_of_each_day_week_and_month() -> None:
    # Noon of a Wednesday: the days before end half a day ago, the weeks at Sunday's end, 2.5 days ago.
    assert days_ago(kept(hourly(9), Rule(1, 3, 0, 0))) == [0.0, 0.5, 1.5]
    assert days_ago(kept(hourly(30), Rule(1, 0, 3, 0))) == [0.0, 2.5, 9.5]
    assert days_ago(kept(hourly(90), Rule(1, 0, 0, 3))) == [0.0, 24.5, 55.5]


def test_one_archive_may_have_many_reasons() -> None:
    assert kept([START.timestamp()], Rule(3, 3, 3, 3)) == {START.timestamp(): "last, daily, weekly, monthly"}


def test_a_gap_costs_nothing() -> None:
    old = [(START - timedelta(days=400 + number)).timestamp() for number in range(5)]
    assert len(kept([*old, START.timestamp()], Rule(1, 3, 0, 0))) == 3


moments = st.lists(st.floats(0, 4e9), max_size=60)
counts = st.integers(0, 8)


@given(moments, st.builds(Rule, st.integers(1, 8), counts, counts, counts))
def test_pruning_twice_is_pruning_once_and_the_newest_stays(found: list[float], rule: Rule) -> None:
    once = kept(found, rule)
    assert set(kept(once, rule)) == set(once) <= set(found)
    assert not found or max(found) in once
    assert len(once) <= rule.last + rule.daily + rule.weekly + rule.monthly


@given(moments, counts)
def test_making_one_each_hour_and_pruning_each_time_keeps_the_old_ones(
    found: list[float], extra: int
) -> None:
    rule = Rule(2, 3, 3, 3)
    shelf: set[float] = set()
    for at in sorted(set(found)):
        shelf = set(kept([*shelf, at], rule))
    assert shelf == set(kept(found, rule))
