"""Times as the API writes and reads them: RFC 3339 in UTC, whole seconds."""

from __future__ import annotations

from meshbox.errors import Invalid
from meshbox.wire.gojson import go_time, parse_time


def write_moment(seconds: float | None) -> str | None:
    """None is "never". Never Go's zero time: tools of the field show it as the year 1."""
    return None if seconds is None else go_time(int(seconds))


def read_moment(text: str, name: str) -> float | None:
    """Seconds since the epoch; None for empty text and Go's zero time. Raises Invalid naming the field."""
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise Invalid(f"{name}: {text[:40]!r} is not a time; write it like 2030-01-31T12:00:00Z") from None
