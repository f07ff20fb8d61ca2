"""Go's JSON: what its encoder writes is read, what its decoder refuses is refused, and only so."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire import gojson
from meshbox.wire.gojson import ZERO_TIME, Json, go_time, parse_object, parse_time

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

READERS: list[Callable[[Json], object]] = [
    lambda document: gojson.child(document, "f"),
    lambda document: gojson.items(document, "f"),
    lambda document: gojson.texts(document, "f", 4),
    lambda document: gojson.text(document, "f", 4),
    lambda document: gojson.line(document, "f", 4),
    lambda document: gojson.flag(document, "f"),
    lambda document: gojson.opt_bool(document, "f"),
    lambda document: gojson.integer(document, "f", 0, 9),
    lambda document: gojson.moment(document, "f"),
]


@given(st.binary())
@example(b"")
@example(b"null")
@example(b"[]")
@example(b"[" * 1_000_000)
@example(b'{"a":' * 100_000)
@example(b'{"a":NaN}')
@example(b'{"a":"\\ud800"}')
@example(b'{"a":"\xff"}')
@example(b'{"a":1}{"b":2}')
@example(b"\xef\xbb\xbf{}")
def test_a_body_is_an_object_or_malformed(body: bytes) -> None:
    try:
        document = parse_object(body)
    except Malformed:
        return
    assert isinstance(document, dict)


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"a":NaN}', b'{"a":"\\ud800"}', b"[" * 100_000, b"{}{}"]
)
def test_what_is_not_one_object_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        parse_object(body)


def test_of_two_equal_names_the_last_wins() -> None:
    assert parse_object(b'{"f":1,"f":2}') == {"f": 2}


@pytest.mark.parametrize("read", READERS)
@given(value=ANY_JSON)
def test_a_reader_gives_a_value_or_malformed_naming_the_field(
    read: Callable[[Json], object], value: object
) -> None:
    try:
        read({"f": value})
    except Malformed as problem:
        assert str(problem).startswith("f")


@pytest.mark.parametrize("read", READERS)
def test_null_is_absent(read: Callable[[Json], object]) -> None:
    assert read({"f": None}) == read({})


@pytest.mark.parametrize("value", [True, 7.0, "7", 10, -1, float(1 << 70)])
def test_an_integer_is_neither_a_boolean_nor_a_float_nor_out_of_range(value: object) -> None:
    with pytest.raises(Malformed):
        gojson.integer({"f": value}, "f", 0, 9)


def test_an_integer_beyond_64_bits_is_malformed() -> None:
    with pytest.raises(Malformed):
        gojson.integer(parse_object(b'{"f":1%s}' % (b"0" * 400)), "f", 0, 1 << 62)


def test_an_integer_may_be_at_either_end() -> None:
    assert [gojson.integer({"f": value}, "f", 2, 9) for value in (2, 9)] == [2, 9]


@pytest.mark.parametrize("value", [1, "true", [], {}])
def test_a_boolean_is_true_or_false(value: object) -> None:
    with pytest.raises(Malformed):
        gojson.flag({"f": value}, "f")


def test_an_optional_boolean_has_three_values() -> None:
    assert [gojson.opt_bool({"f": value}, "f") for value in (True, False, None)] == [True, False, None]


def test_a_text_has_a_limit_in_characters() -> None:
    assert gojson.text({"f": "äöüß"}, "f", 4) == "äöüß"
    with pytest.raises(Malformed, match="f is longer than 4"):
        gojson.text({"f": "abcde"}, "f", 4)


def test_a_list_of_texts_holds_nothing_else() -> None:
    assert gojson.texts({"f": ["a", ""]}, "f", 4) == ["a", ""]
    wrong: list[object] = [["a", 1], ["abcde"], [None], {}]
    for value in wrong:
        with pytest.raises(Malformed):
            gojson.texts({"f": value}, "f", 4)


@given(st.text(), st.integers(0, 20))
def test_a_line_is_cut_and_cleaned_never_refused(value: str, limit: int) -> None:
    line = gojson.line({"f": value}, "f", limit)
    assert len(line) <= limit
    assert line.isprintable()


def test_a_line_has_no_break_no_escape_and_no_direction() -> None:
    assert gojson.line({"f": "a\nb\x1b[31mc\u202ed\x00"}, "f", 99) == "ab[31mcd"
    assert gojson.line({"f": "Joe's Büro 1"}, "f", 99) == "Joe's Büro 1"


# Times, as Go's encoder wrote them.
@pytest.mark.parametrize(
    ("written", "unix"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("2026-08-01T12:00:00Z", 1785585600.0),
        ("2026-08-01T12:00:00.123456789Z", 1785585600.123456789),
        ("2026-08-01T14:30:00+02:30", 1785585600.0),
        ("2026-08-01T05:00:00-07:00", 1785585600.0),
        ("0001-01-01T00:00:00Z", None),
        ("0001-01-01T02:00:00+02:00", None),
        ("0001-01-01T00:00:01Z", -62135596799.0),
        ("9999-12-31T23:59:59Z", 253402300799.0),
    ],
)
def test_a_time_is_read(written: str, unix: float | None) -> None:
    assert gojson.moment({"f": written}, "f") == unix


@pytest.mark.parametrize(
    "written",
    [
        "",
        "now",
        "2026-08-01",
        "2026-08-01T12:00:00",
        "2026-08-01 12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-08-01T24:00:00Z",
        "2026-08-01T12:60:00Z",
        "2026-08-01T12:00:60Z",
        "0000-01-01T00:00:00Z",
        "2026-08-01T12:00:00+24:00",
        "2026-08-01T12:00:00Z\n",
        "٢٠٢٦-08-01T12:00:00Z",
        "2026-08-01T12:00:00." + "1" * 60 + "Z",
    ],
)
def test_what_is_no_time_is_malformed(written: str) -> None:
    with pytest.raises(Malformed, match="f"):
        gojson.moment({"f": written}, "f")


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_written_is_the_time_read(at: datetime) -> None:
    unix = at.timestamp()
    if at.year > 1:
        assert parse_time(go_time(unix)) == pytest.approx(unix, abs=1e-5)


@given(st.floats(allow_nan=False))
@example(math.inf)
@example(-math.inf)
@example(1e300)
def test_any_number_is_written_as_a_time_that_can_be_read(unix: float) -> None:
    assert len(go_time(unix)) <= len("2026-08-01T12:00:00.123456Z")
    parse_time(go_time(unix))


def test_go_drops_the_fraction_it_does_not_need() -> None:
    assert go_time(1785585600.0) == "2026-08-01T12:00:00Z"
    assert go_time(1785585600.25) == "2026-08-01T12:00:00.25Z"
    assert go_time(1785585610) == "2026-08-01T12:00:10Z"
    assert go_time(None) == ZERO_TIME


def test_omit_empty_leaves_out_zero_values_only() -> None:
    fields: Json = {"a": "", "b": 0, "c": False, "d": None, "e": [], "f": {}, "g": "x", "h": -1, "i": 0.5}
    assert gojson.omit_empty(fields) == {"g": "x", "h": -1, "i": 0.5}


def test_what_nests_too_deeply_to_write_is_malformed() -> None:
    document = orjson.loads(b'{"a":' * 500 + b"1" + b"}" * 500)
    with pytest.raises(Malformed):
        gojson.compact(document)
