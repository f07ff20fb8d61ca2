from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.wire.acme.messages import Window
from meshbox.wire.acme.renewal import (
    LAST_RETRY,
    LEAST_USE,
    Life,
    due_at,
    look_after,
    retry_after,
    share_of,
)

DAY = 86_400.0
LONG, SHORT = Life(0, 90 * DAY, 0), Life(0, 6 * DAY, 0)


def test_without_advice_long_lives_wait_two_thirds_and_short_ones_half() -> None:
    assert due_at(LONG, 0.0, None) == 60 * DAY
    assert due_at(SHORT, 0.0, None) == 3 * DAY
    assert due_at(LONG, 1.0, None) < 66 * DAY


def test_advice_wins() -> None:
    window = Window(10 * DAY, 12 * DAY)
    assert due_at(LONG, 0.25, window) == 10.5 * DAY
    assert due_at(LONG, 0.5, Window(-2 * DAY, -1 * DAY)) == LEAST_USE


spans = st.floats(60, 1e8)
shares = st.floats(0, 1, exclude_max=True)
moments = st.floats(-1e9, 1e10)


@given(spans, shares, moments, st.floats(1, 1e7))
def test_no_advice_leads_past_the_end_or_into_a_storm(
    span: float, share: float, start: float, length: float
) -> None:
    due = due_at(Life(0, span, 0), share, Window(start, start + length))
    assert min(LEAST_USE, span / 4) <= due < span


def test_each_certificate_has_its_own_share_and_keeps_it() -> None:
    found = [share_of(bytes([number])) for number in range(200)]
    assert found == [share_of(bytes([number])) for number in range(200)]
    assert all(0 <= one < 1 for one in found)
    assert 60 < sum(one < 0.5 for one in found) < 140


def test_failures_wait_longer_and_longer_and_no_shorter_than_asked() -> None:
    waits = [retry_after(failures, None, 0.0) for failures in range(1, 12)]
    assert waits[:4] == [300, 600, 1200, 2400]
    assert waits[-1] == LAST_RETRY and waits == sorted(waits)
    assert retry_after(1, 7200.0, 0.0) == 7200.0
    assert retry_after(5000, None, 0.9) < 1.25 * LAST_RETRY
    # Let's Encrypt takes five failed validations per name and hour.
    assert sum(waits[:5]) > 3600


@pytest.mark.parametrize(
    ("asked", "given"), [(None, 6 * 3600), (1.0, 60.0), (1e9, 86_400.0), (7200.0, 7200.0)]
)
def test_renewal_advice_is_asked_for_again(asked: float | None, given: float) -> None:
    assert look_after(asked) == given
