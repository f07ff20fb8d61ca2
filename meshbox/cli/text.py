"""Text for a terminal: nothing of what devices call themselves may steer it, and times for people.

Host names come from devices. An escape sequence in one could rewrite the screen of the administrator
who lists them, a line break fake a row, a right-to-left mark swap two columns.
"""

from __future__ import annotations

import unicodedata
from datetime import datetime

_STEPS = ((31_536_000, "y"), (86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


def clean(text: str) -> str:
    """The text with everything that does not print (control, direction, zero width) made visible."""
    return text if text.isprintable() else "".join(one if one.isprintable() else "\ufffd" for one in text)


def width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def relative(moment: str | None, now: float) -> str:
    """`2026-07-01T08:00:00Z` as `3d ago` or `in 2h`; "-" for never."""
    if not moment:
        return "-"
    try:
        seconds = int(datetime.fromisoformat(moment).timestamp() - now)
    except ValueError:
        return clean(moment)
    distance = abs(seconds)
    length, unit = next(((length, unit) for length, unit in _STEPS if distance >= length), (1, "s"))
    # What was made for a day a moment ago still says 24h.
    count = f"{(distance + length // 60) // length}{unit}"
    return f"in {count}" if seconds > 0 else f"{count} ago"
