from __future__ import annotations

import pytest

from meshbox.relay.budget import Bucket


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    bucket = Bucket(rate=1, size=3, now=0)
    assert [bucket.take(0) for _ in range(5)] == [True, True, True, False, False]
    assert [bucket.take(1.5) for _ in range(2)] == [True, False]
    assert [bucket.take(100) for _ in range(4)] == [True, True, True, False]


def test_a_charge_over_the_burst_is_owed_for_as_long_as_it_takes_to_fill() -> None:
    bucket = Bucket(rate=100, size=50, now=0)
    assert bucket.charge(50, 0) == 0
    assert bucket.charge(30, 0) == pytest.approx(0.3)
    assert bucket.charge(0, 0.3) == pytest.approx(0)
    assert bucket.charge(50, 10) == 0
    assert bucket.charge(1, 10) > 0


def test_a_clock_that_stands_still_fills_nothing() -> None:
    bucket = Bucket(rate=1000, size=1, now=5)
    assert bucket.take(5)
    assert not bucket.take(5)
