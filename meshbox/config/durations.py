"""Durations as people write them: `30d`, `12h`, `1h30m`, `500ms`, `0`.

Go's own spelling stops at hours; keys that live for months made everyone add days, weeks and
years (of 365 days). A bare number has no unit and is refused, except 0.
"""

from __future__ import annotations

import re

_UNITS = {"y": 31_536_000.0, "w": 604_800.0, "d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|[ywdhms])")
_WRITTEN = ("w", "d", "h", "m", "s", "ms")


def parse_duration(text: str) -> float:
    """Seconds. Raises ValueError with a clause that says what is wanted."""
    if text == "0":
        return 0.0
    position, total = 0, 0.0
    while match := _PART.match(text, position):
        total += float(match[1]) * _UNITS[match[2]]
        position = match.end()
    if position != len(text) or not text:
        raise ValueError(f"wants a duration such as 30d, 12h, 90s or 0, found {text!r}")
    return total


def format_duration(seconds: float) -> str:
    """The shortest exact spelling that `parse_duration` reads back."""
    rest = round(seconds * 1000)
    parts = []
    for unit in _WRITTEN:
        count, rest = divmod(rest, round(_UNITS[unit] * 1000))
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0"
