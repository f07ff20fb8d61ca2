"""JSON as Go reads and writes it: where the control protocol differs from plain JSON.

Reading: a field that is absent or null has its zero value, unknown fields are ignored, of two equal
names the last wins, a value of another type is refused. Names are matched exactly (Go also matches
other cases; no client sends them). Every reader raises Malformed naming the field, and nothing else.
Writing: times are RFC 3339, "no time" is the first second of year 1, and `omitempty` leaves out what
is empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

from meshbox import fastjson
from meshbox.errors import Malformed

Json = dict[str, object]
"""A JSON object, as orjson reads it and writes it."""

ZERO_TIME = "0001-01-01T00:00:00Z"
"""How Go writes a time that is not set."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_DAY = 86_400
_ZERO_SECONDS = (1 - _EPOCH_DAY) * _DAY
_LAST_SECONDS = (date.max.toordinal() - _EPOCH_DAY + 1) * _DAY - 1

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,18}))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)


def parse_object(body: bytes | bytearray | memoryview) -> Json:
    """The JSON object in `body`. NaN, lone surrogates, bad UTF-8 and deep nesting are Malformed."""
    try:
        document = fastjson.loads(body)
    except fastjson.JSONDecodeError as problem:
        raise Malformed(f"not JSON: {problem}") from None
    if type(document) is not dict:
        raise Malformed("the body is not a JSON object")
    return document


def compact(document: Json) -> bytes:
    """The object as compact JSON. Malformed when it nests deeper than can be written."""
    try:
        # The copy matters to whoever keeps it: orjson's own result holds on to 8 KB of spare buffer.
        return bytes(memoryview(fastjson.dumps(document)))
    except fastjson.JSONEncodeError:
        raise Malformed("nested too deeply") from None


def child(document: Json, name: str) -> Json | None:
    """An object inside, or None."""
    value = document.get(name)
    if value is None or type(value) is dict:
        return value
    raise Malformed(f"{name} is not an object")


def items(document: Json, name: str) -> list[object]:
    """A list, of anything; empty when absent."""
    value = document.get(name)
    if value is None:
        return []
    if type(value) is list:
        return value
    raise Malformed(f"{name} is not a list")


def texts(document: Json, name: str, limit: int) -> list[str]:
    """A list of texts of at most `limit` characters each; empty when absent."""
    return [_checked_text(value, name, limit) for value in items(document, name)]


def text(document: Json, name: str, limit: int) -> str:
    """A text of at most `limit` characters; "" when absent."""
    value = document.get(name)
    return "" if value is None else _checked_text(value, name, limit)


def line(document: Json, name: str, limit: int) -> str:
    """A text for people to read, made fit instead of refused: cut to `limit` characters, and without
    control and direction characters, which forge log lines and disguise names."""
    value = document.get(name)
    if value is None:
        return ""
    if type(value) is not str:
        raise Malformed(f"{name} is not a text")
    return one_line(value, limit)


def one_line(value: str, limit: int) -> str:
    value = value[:limit]
    return value if value.isprintable() else "".join(filter(str.isprintable, value))


def flag(document: Json, name: str) -> bool:
    """A boolean; False when absent."""
    return opt_bool(document, name) or False


def opt_bool(document: Json, name: str) -> bool | None:
    """Go's opt.Bool: true, false, or None when nobody knows."""
    value = document.get(name)
    if value is None or type(value) is bool:
        return value
    raise Malformed(f"{name} is neither true nor false")


def integer(document: Json, name: str, low: int, high: int) -> int:
    """A whole number between `low` and `high`, both allowed; 0 when absent."""
    value = document.get(name)
    if value is None:
        return 0
    # Neither true nor 7.0 is an integer to Go, and orjson makes floats of integers beyond 64 bits.
    if type(value) is not int:
        raise Malformed(f"{name} is not a whole number")
    if not low <= value <= high:
        raise Malformed(f"{name} is {value}, outside {low} to {high}")
    return value


def moment(document: Json, name: str) -> float | None:
    """Go's time.Time as seconds since the epoch; None when absent or the zero time."""
    value = document.get(name)
    if value is None or value == ZERO_TIME:
        return None
    try:
        return parse_time(_checked_text(value, name, 64))
    except ValueError as problem:
        raise Malformed(f"{name}: {problem}") from None


def parse_time(rfc3339: str) -> float | None:
    """Seconds since the epoch; None for the zero time. Raises ValueError."""
    match = _TIME.fullmatch(rfc3339)
    if match is None:
        raise ValueError("not an RFC 3339 time")
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    if hour > 23 or minute > 59 or second > 59:
        raise ValueError("no such time of day")
    seconds = (date(year, month, day).toordinal() - _EPOCH_DAY) * _DAY + hour * 3600 + minute * 60 + second
    fraction, sign, zone_hours, zone_minutes = match.group(7, 8, 9, 10)
    if sign:
        if int(zone_hours) > 23 or int(zone_minutes) > 59:
            raise ValueError("no such time zone")
        offset = int(zone_hours) * 3600 + int(zone_minutes) * 60
        seconds += -offset if sign == "+" else offset
    if seconds == _ZERO_SECONDS and not int(fraction or 0):
        return None
    return seconds + (float(f"0.{fraction}") if fraction else 0.0)


def go_time(unix: float | None) -> str:
    """Seconds since the epoch as Go writes a UTC time; None is the zero time.

    A time outside the years 1 to 9999 becomes the nearest inside: clients refuse a whole network map
    for one time they cannot read.
    """
    if unix is None:
        return ZERO_TIME
    at = _EPOCH + timedelta(seconds=min(max(unix, _ZERO_SECONDS), _LAST_SECONDS))
    written = at.isoformat()[:-6]
    return (written.rstrip("0") if "." in written else written) + "Z"


def omit_empty(fields: Mapping[str, object]) -> Json:
    """Go's omitempty: only the fields that are not null, "", 0, false, [] or {}."""
    return {name: value for name, value in fields.items() if value}


def _checked_text(value: object, name: str, limit: int) -> str:
    if type(value) is not str:
        raise Malformed(f"{name} is not a text")
    if len(value) > limit:
        raise Malformed(f"{name} is longer than {limit} characters")
    return value
