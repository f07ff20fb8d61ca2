"""Durations as Go writes them: `1h30m`, `-1m0s`, `250ms`. Seconds as float."""

from __future__ import annotations

import re

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = r"([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)"
_part = re.compile(_PART, re.ASCII)
_whole = re.compile(rf"[+-]?(?:{_PART})+", re.ASCII)
MAX_LENGTH = 64
"""Characters; nobody writes more, and digits without end would be read as a number."""
MAX_SECONDS = 9_223_372_036.0
"""Go keeps nanoseconds in 63 bits."""


class BadDuration(ValueError):
    """The message as Go words it."""


def parse_duration(text: str) -> float:
    """Raises BadDuration."""
    if text in ("0", "+0", "-0"):
        return 0.0
    if len(text) > MAX_LENGTH or not _whole.fullmatch(text):
        raise BadDuration(f'time: invalid duration "{text[:MAX_LENGTH]}"')
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _part.findall(text))
    if seconds > MAX_SECONDS:
        raise BadDuration(f'time: invalid duration "{text}"')
    return -seconds if text.startswith("-") else seconds


def write_duration(seconds: float) -> str:
    """As Go prints it: `168h0m1s`, `1m0s`, `1.5s`."""
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    hours, rest = divmod(round(rest, 9), 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{sign}{int(hours)}h{int(minutes)}m{text}"
    return f"{sign}{int(minutes)}m{text}" if minutes else sign + text
