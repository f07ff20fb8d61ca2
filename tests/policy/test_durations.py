from __future__ import annotations

import pytest

from meshbox.policy.durations import BadDuration, parse_duration, write_duration


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("0s", 0), ("1h30m", 5400), ("-1m", -60), ("1.5s", 1.5), ("250ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "abc", "5", "1h 2m", "h", "1d", "1" * 100 + "s", "9999999999h"])
def test_no_durations(text: str) -> None:
    with pytest.raises(BadDuration, match="time: invalid duration"):
        parse_duration(text)


def test_durations_are_written_as_go_writes_them() -> None:
    assert write_duration(168 * 3600 + 1) == "168h0m1s"
    assert write_duration(-60) == "-1m0s"
    assert write_duration(1.5) == "1.5s"
    assert write_duration(0) == "0s"
