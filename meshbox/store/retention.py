"""Which archives are kept: the newest few, and the last of each of so many days, weeks and months.

Periods are of UTC. A period without an archive does not count, so a machine that was off for a month
has as many as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Rule:
    last: int
    daily: int
    weekly: int
    monthly: int


def kept(moments: Iterable[float], rule: Rule) -> dict[float, str]:
    """Of archives by when they were made (unix seconds), those to keep, each with the reason."""
    newest_first = sorted(set(moments), reverse=True)
    found: dict[float, list[str]] = {at: ["last"] for at in newest_first[: rule.last]}
    for name, count, period in (
        ("daily", rule.daily, _day),
        ("weekly", rule.weekly, _week),
        ("monthly", rule.monthly, _month),
    ):
        for at in _last_of_each(newest_first, period)[:count]:
            found.setdefault(at, []).append(name)
    return {at: ", ".join(why) for at, why in found.items()}


def _last_of_each(newest_first: list[float], period: Callable[[datetime], tuple[int, int]]) -> list[float]:
    seen: dict[tuple[int, int], float] = {}
    for at in newest_first:
        seen.setdefault(period(datetime.fromtimestamp(at, UTC)), at)
    return list(seen.values())


def _day(at: datetime) -> tuple[int, int]:
    return at.year, at.timetuple().tm_yday


def _week(at: datetime) -> tuple[int, int]:
    return at.isocalendar()[:2]


def _month(at: datetime) -> tuple[int, int]:
    return at.year, at.month
