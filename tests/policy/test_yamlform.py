from __future__ import annotations

import json
import re

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshbox.policy.problem import PolicyError, Spot
from meshbox.policy.yamlform import MAX_YAML, parse, read
from meshbox.wire.hujson import MAX_DEPTH, Unreadable
from tests.wire.test_hujson import values

OLD_GUIDE = """\
# As an older guide has it.
groups:
  group:admin: [ana@]
  group:dev:
    - ben@example.com
hosts:
  router: 10.20.0.0/24
acls:
  - action: accept
    proto: tcp
    src: [group:admin]
    dst:
      - tag:server:22,80-90
      - "*:*"
randomizeClientPort: true
"""


def refusal(text: str) -> tuple[int, int, str]:
    with pytest.raises(Unreadable) as caught:
        parse(text)
    return caught.value.line, caught.value.column, caught.value.reason


def test_the_same_shape() -> None:
    assert parse(OLD_GUIDE).value == {
        "groups": {"group:admin": ["ana@"], "group:dev": ["ben@example.com"]},
        "hosts": {"router": "10.20.0.0/24"},
        "acls": [
            {
                "action": "accept",
                "proto": "tcp",
                "src": ["group:admin"],
                "dst": ["tag:server:22,80-90", "*:*"],
            }
        ],
        "randomizeClientPort": True,
    }


def test_places() -> None:
    document = parse(OLD_GUIDE)
    assert document.position_of(("groups", "group:dev", 0)) == (5, 7)
    assert document.position_of_key(("acls", 0, "dst")) == (12, 5)
    assert document.position_of(("acls", 0, "dst", 1)) == (14, 9)


@settings(max_examples=100, deadline=None)
@given(values)
def test_what_json_says_yaml_says(value: object) -> None:
    # YAML writes an exponent with a sign, and no character as two escapes.
    text = json.dumps(value)
    if not re.search(r"[0-9]e|\\ud[89ab]", text):
        assert parse(text).value == value


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("no", "no"), ("on", "on"), ("22:30", "22:30"), ("2026-01-02", "2026-01-02"), ("0x10", "0x10"),
        ("010", "010"), (".5", ".5"), ("1_000", "1_000"), ("443", 443), ("-1.5", -1.5), ("'443'", "443"),
        ('"true"', "true"), ("true", True), ("True", "True"), ("null", None), ("~", None), ("", None),
        ("|\n  a\n  b", "a\nb"), (".inf", ".inf"), ("1e2", 100.0), ("9" * 30, "9" * 30), ("<<", "<<"),
    ],
)  # fmt: skip
def test_few_words_mean_more_than_their_letters(written: str, meant: object) -> None:
    got = parse(f"key: {written}").value
    assert got == {"key": meant}
    assert isinstance(got, dict) and type(got["key"]) is type(meant)


def test_keys_are_texts() -> None:
    assert parse("900: a\ntrue: b\nno: c").value == {"900": "a", "true": "b", "no": "c"}


@pytest.mark.parametrize(
    ("text", "line", "column", "part"),
    [
        ("", 1, 1, "no value"),
        ("# nothing", 1, 1, "no value"),
        ("acls:\n  - src: [*]", 2, 12, '"*" stands in quotes'),
        ("acls: *all", 1, 7, "no YAML anchors"),
        ("acls: &all [1]", 1, 7, "no YAML anchors"),
        ("&a acls: 1", 1, 1, "no YAML anchors"),
        ("acls: !!set {a}", 1, 7, "no YAML tags"),
        ("acls: !x 1", 1, 7, "no YAML tags"),
        ("? [a]\n: 1", 1, 3, "a key is a text"),
        ("acls: 1\nhosts: 2\nacls: 3", 3, 1, 'the key "acls" is already given in line 1'),
        ("acls: 1\n---\nacls: 2", 2, 1, "a second document"),
        ("acls: [1", 1, 9, "',' or ']'"),
        ("a:\n\tb: 1", 2, 1, "cannot start any token"),
    ],
)
def test_refusals_say_where_and_what(text: str, line: int, column: int, part: str) -> None:
    at_line, at_column, reason = refusal(text)
    assert part in reason
    assert (at_line, at_column) == (line, column)


def test_hostile_texts_end_at_once() -> None:
    assert "nest" in refusal("[" * MAX_YAML)[2]
    assert "nested deeper" in refusal("- " * (MAX_DEPTH + 1))[2]
    assert "more than" in refusal("#" * (MAX_YAML + 1))[2]
    laughs = "a: &a [x]\n" + "".join(f"b{n}: [*a, *a]\n" for n in range(9))
    assert "no YAML anchors" in refusal(laughs)[2]


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("{}[]:,\"\\*&!|>- \n\tab0#'?%@`\x00\ud800\x85"), max_size=30) | st.text())
@example("\ufeff- a")
@example("%YAML 9.9\n---\na")
def test_arbitrary_text_is_read_or_refused_with_its_place(text: str) -> None:
    try:
        parse(text)
    except Unreadable as refused:
        assert refused.line >= 1 and refused.column >= 1


def test_without_the_c_library_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = parse(OLD_GUIDE)
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    slow = parse(OLD_GUIDE)
    assert slow.value == fast.value
    assert slow.place == fast.place
    assert '"*" stands in quotes' in refusal("acls:\n  - src: [*]")[2]
    assert "nest" in refusal("[" * 10_000)[2]


def test_the_form_is_seen_from_the_beginning() -> None:
    assert read('// comment\n/* another */ {"acls": [],}').value == {"acls": []}
    assert read("# comment\nacls: []").value == {"acls": []}
    with pytest.raises(PolicyError, match="comments begin with //") as caught:
        read("{\n # comment\n}")
    assert caught.value.spot == Spot(2, 2)
    for empty in ("", " \n", "// nothing"):
        with pytest.raises(PolicyError, match="expected a value"):
            read(empty)
