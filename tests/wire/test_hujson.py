from __future__ import annotations

import contextlib
import json
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshbox.wire.hujson import MAX_DEPTH, MAX_TEXT, MAX_VALUES, Path, Unreadable, Value, parse

POLICY = """\
// Who may do what.
{
  "groups": {"group:ops": ["ana@example.com", "ben@example.com"]}, /* two
  people */ "acls": [
    {"action": "accept", "src": ["group:ops"], "dst": ["*:*",],},
  ],
}
"""

texts = st.text(st.characters(blacklist_categories=["Cs"]), max_size=8)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=25,
)
blanks = st.lists(
    st.sampled_from(
        [
            " ",
            "\t",
            "\n",
            "\r\n",
            "// what, [\"}' */ for\n",
            "//\n",
            "/**/",
            "/***/",
            '/* a\n"b" // */',
            "/*/ */",
        ]
    ),
    max_size=3,
).map("".join)


def refusal(text: str) -> tuple[int, int, str]:
    with pytest.raises(Unreadable) as caught:
        parse(text)
    error = caught.value
    assert str(error) == f"line {error.line}, column {error.column}: {error.reason}"
    return error.line, error.column, error.reason


def write(value: Value, draw: st.DrawFn, ascii_only: bool) -> str:
    """The value as HuJSON, with blanks, comments and trailing commas wherever they may stand."""

    def blank() -> str:
        return draw(blanks)

    def last_comma(inside: object) -> str:
        return blank() + "," if inside and draw(st.booleans()) else ""

    if isinstance(value, dict):
        members = [
            f"{blank()}{json.dumps(key, ensure_ascii=ascii_only)}{blank()}:{write(inner, draw, ascii_only)}"
            for key, inner in value.items()
        ]
        return f"{blank()}{{{','.join(members)}{last_comma(members)}{blank()}}}{blank()}"
    if isinstance(value, list):
        items = [write(inner, draw, ascii_only) for inner in value]
        return f"{blank()}[{','.join(items)}{last_comma(items)}{blank()}]{blank()}"
    return f"{blank()}{json.dumps(value, ensure_ascii=ascii_only)}{blank()}"


@st.composite
def written(draw: st.DrawFn) -> tuple[Value, str]:
    value: Value = draw(values)
    return value, write(value, draw, draw(st.booleans()))


@settings(max_examples=150, deadline=None)
@given(written())
def test_a_value_survives_any_way_of_writing_it(case: tuple[Value, str]) -> None:
    value, text = case
    got = parse(text).value
    assert got == value
    assert repr(got) == repr(value)  # 1, 1.0 and true are equal, and so are 0.0 and -0.0


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("{}[]:,\"\\/*\n \tab0-1.eE+tu\ud800\x00é#'"), max_size=40) | st.text())
@example("[" * 5000)
@example('{"a":' * 5000)
@example("9" * 100_000)
@example("1e999")
@example("\ufeff")
@example("\ud800")
def test_arbitrary_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        parse(text)
    except Unreadable as refused:
        lines = text.split("\n")
        assert 1 <= refused.line <= len(lines)
        assert 1 <= refused.column <= len(lines[refused.line - 1]) + 1


@settings(max_examples=100, deadline=None)
@given(values, st.data())
def test_whatever_plain_json_refuses_is_refused(value: Value, data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(0, len(text)))
    put = data.draw(st.text(st.sampled_from('{}[]:"\\ab0-1.e+tn\x01'), max_size=2))
    mangled = text[:cut] + put + text[cut + data.draw(st.integers(0, 2)) :]
    try:
        got = parse(mangled).value
    except Unreadable:
        return
    # The one liberty without comments is the trailing comma, and no comma was put in.
    if ",]" not in mangled and ",}" not in mangled and ", ]" not in mangled and ", }" not in mangled:
        assert json.loads(mangled) == got


def test_comments_and_trailing_commas() -> None:
    assert parse(POLICY).value == {
        "groups": {"group:ops": ["ana@example.com", "ben@example.com"]},
        "acls": [{"action": "accept", "src": ["group:ops"], "dst": ["*:*"]}],
    }


def test_comment_signs_in_strings_are_text() -> None:
    assert parse('["https://a/*b*/", "//"] // end').value == ["https://a/*b*/", "//"]


def test_a_byte_order_mark_may_lead() -> None:
    assert parse("\ufeff{}").value == {}


@pytest.mark.parametrize(
    ("path", "value_at", "key_at"),
    [
        ((), (2, 1), (2, 1)),
        (("groups",), (3, 13), (3, 3)),
        (("groups", "group:ops", 1), (3, 47), (3, 47)),
        (("acls",), (4, 21), (4, 13)),
        (("acls", 0, "dst", 0), (5, 56), (5, 56)),
        (("acls", 0, "src"), (5, 33), (5, 26)),
    ],
)
def test_places_of_keys_and_values(path: Path, value_at: tuple[int, int], key_at: tuple[int, int]) -> None:
    document = parse(POLICY)
    assert document.position_of(path) == value_at
    assert document.position_of_key(path) == key_at


@pytest.mark.parametrize("path", [("acls", 1), ("acls", "src"), ("acls", -1)])
def test_a_way_that_breaks_off_ends_where_it_does(path: Path) -> None:
    assert parse(POLICY).position_of(path) == (4, 21)
    assert parse(POLICY).position_of_key(path) == (4, 13)


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("", 1, 1, "expected a value, found the end of the text"),
        ("// nothing", 1, 11, "expected a value, found the end of the text"),
        ("{} {}", 1, 4, 'expected the end of the text, found "{"'),
        ('{"a" 1}', 1, 6, 'expected ":" after the key "a", found "1"'),
        ('{"a": 1 "b": 2}', 1, 9, 'expected "," or "}"'),
        ("[1 2]", 1, 4, 'expected "," or "]"'),
        ("[1}", 1, 3, 'expected "," or "]"'),
        ("[,]", 1, 2, 'expected a value or "]", found ","'),
        ("[1,,]", 1, 4, "expected a value"),
        ("{,}", 1, 2, "expected a key in double quotes"),
        ("{a: 1}", 1, 2, 'expected a key in double quotes or "}", found "a"'),
        ("{1: 1}", 1, 2, "expected a key in double quotes"),
        ('{"a": }', 1, 7, "expected a value"),
        ("['a']", 1, 2, "strings stand in double quotes"),
        ("{} # no", 1, 4, 'found "#"; comments begin with //'),
        ("[tru]", 1, 2, 'found "tru"'),
        ("[truely]", 1, 2, 'found "truely"'),
        ("[NaN]", 1, 2, 'found "NaN"'),
        ("[01]", 1, 3, 'expected "," or "]", found "1"'),
        ("[1.]", 1, 3, 'found "."'),
        ("[+1]", 1, 2, 'found "+1"'),
        ("[.5]", 1, 2, 'found ".5"'),
        ("\n[18446744073709551616]", 2, 2, "64 bits"),
        ("[-1e400]", 1, 2, "too large"),
        ('["a\nb"]', 1, 4, "in the line where it begins"),
        ('["a', 1, 2, "this string has no end"),
        ('["\\x41"]', 1, 3, "no escape"),
        ('["\\u12"]', 1, 3, "no escape"),
        ('["\t"]', 1, 3, 'may not contain "\\t"'),
        ('["\\ud800"]', 1, 2, "surrogate"),
        ('["\ud800"]', 1, 3, "may not contain"),
        ("{ /* begun", 1, 3, "this comment has no end"),
        ('{\n "a": 1,\n "b": 2,\n "a": 3}', 4, 2, 'the key "a" is already given in line 2'),
        ('{"a": 1, "\\u0061": 3}', 1, 10, 'the key "a" is already given'),
    ],
)
def test_refusals_say_where_and_what(text: str, line: int, column: int, part: str) -> None:
    at_line, at_column, reason = refusal(text)
    assert (at_line, at_column) == (line, column)
    assert part in reason


def test_nesting_ends_somewhere() -> None:
    deepest = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    parse(deepest)
    assert refusal(f"[{deepest}]") == (1, MAX_DEPTH + 1, "lists and objects are nested deeper than 32")
    assert "nested deeper" in refusal('{"a":' * 100_000)[2]


def test_length_and_number_of_values_end_somewhere() -> None:
    parse("[]" + " " * (MAX_TEXT - 2))
    assert "longer" in refusal("[]" + " " * (MAX_TEXT - 1))[2]
    parse("[" + "1," * (MAX_VALUES - 1) + "]")
    assert "more than" in refusal("[" + "1," * MAX_VALUES + "]")[2]


@pytest.mark.parametrize(
    "text",
    [
        "[" + "[]," * (MAX_VALUES - 1) + "]",
        "[" + "{}," * (MAX_VALUES - 1) + "]",
        "{" + ",".join(f'"{number:x}":1' for number in range(110_000)) + "}",
        "[" + "/**/" * (MAX_TEXT // 4 - 1) + "]",
        "[" + "/*" * (MAX_TEXT // 2 - 1) + "]",
        '["' + "\\n" * (MAX_TEXT // 2 - 2) + '"]',
        '["' + "a" * (MAX_TEXT - 2),
        "[" + "/ " * (MAX_TEXT // 2 - 1),
        "9" * MAX_TEXT,
    ],
    ids=[
        "lists",
        "objects",
        "keys",
        "comments",
        "open comment",
        "escapes",
        "open string",
        "slashes",
        "digits",
    ],
)
def test_a_megabyte_of_nonsense_is_read_in_time(text: str) -> None:
    """Quadratic reading would take minutes; the bound leaves room for a busy machine."""
    began = time.process_time()
    with contextlib.suppress(Unreadable):
        parse(text)
    assert time.process_time() - began < 5
