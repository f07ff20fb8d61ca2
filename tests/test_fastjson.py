"""The two readers and writers of JSON agree in what they write, read and refuse."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox import fastjson
from meshbox.fastjson import plain

NUMBERS = st.integers(-(1 << 63), (1 << 64) - 1) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)))
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)
DEEP = 900
"""Nesting that both read. Python's own limit of recursion is met a little before 1024."""


def answer(read: Any, document: bytes) -> object:
    try:
        return repr(read(document))
    except json.JSONDecodeError:
        return "refused"


@given(VALUES)
def test_each_reads_what_the_other_writes(value: Any) -> None:
    assert plain.loads(orjson.dumps(value)) == value
    assert orjson.loads(plain.dumps(value)) == value


@given(TEXTS | st.lists(TEXTS) | st.dictionaries(TEXTS, st.integers(0, 9)))
def test_texts_are_written_byte_for_byte_alike(value: Any) -> None:
    assert plain.dumps(value) == orjson.dumps(value)


@given(
    st.binary(max_size=40)
    | st.text('[]{}",:0123456789.eE+-\\udDaAfF nulltruefase\x00\x1f\x7f').map(str.encode)
)
@example(b"")
@example(b"NaN")
@example(b"-Infinity")
@example(b"1e999")
@example(b"9" * 400)
@example(b"9" * 5000)
@example(b"18446744073709551616")
@example(b"-9223372036854775809")
@example(b"\xef\xbb\xbf{}")
@example(b'"\\ud800"')
@example(b'{"\\uDFFF": 1}')
@example(b'["\\ud83d\\ude00", "\\\\ud800"]')
@example(b'"\xed\xa0\x80"')
@example(b'"\x01"')
@example(b'{"a": 1, "a": 2}')
@example(b"[" * DEEP + b"]" * DEEP)
@example(b"[" * 1025 + b"]" * 1025)
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
def test_the_same_documents_are_refused(document: bytes) -> None:
    assert answer(plain.loads, document) == answer(orjson.loads, document)


@given(VALUES, st.data())
def test_a_broken_document_is_refused_by_both(value: Any, data: st.DataObject) -> None:
    document = bytearray(orjson.dumps(value))
    document[data.draw(st.integers(0, len(document) - 1))] = data.draw(st.integers(0, 255))
    assert answer(plain.loads, bytes(document)) == answer(orjson.loads, bytes(document))


def nested(depth: int, value: Any = None) -> Any:
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, [b"bytes"], {1, 2}, nested(255), nested(100_000)])
def test_the_same_values_are_refused(value: Any) -> None:
    for module in (orjson, plain):
        with pytest.raises(module.JSONEncodeError):
            module.dumps(value)


def test_what_nests_as_deep_as_allowed_is_written_by_both() -> None:
    assert plain.dumps(nested(254)) == orjson.dumps(nested(254))


@given(VALUES)
def test_a_fragment_stands_in_its_place(value: Any) -> None:
    for module in (orjson, plain):
        document = {"before": 1, "inner": module.Fragment(module.dumps(value)), "after": [2]}
        assert module.loads(module.dumps(document)) == {"before": 1, "inner": value, "after": [2]}


def test_the_fast_one_is_taken_where_it_is() -> None:
    assert fastjson.dumps is orjson.dumps


@pytest.mark.slow
def test_without_it_everything_else_is_as_before() -> None:
    """The tests of what is written and read, in a Python that has no orjson for the package."""
    without = (
        "import sys, orjson; sys.modules['orjson'] = None\n"
        "from meshbox import fastjson\n"
        "assert fastjson.dumps.__module__ == 'meshbox.fastjson.plain'\n"
        "sys.modules['orjson'] = orjson  # the tests themselves judge by it\n"
        "import pytest; sys.exit(pytest.main(sys.argv[1:]))"
    )
    rooms = ["tests/wire", "tests/tailnet", "tests/relay", "tests/store/test_rows.py", "tests/serve/api"]
    words = ["-q", "-x", "-p", "no:cacheprovider", "-m", "not slow and not root and not world", *rooms]
    done = subprocess.run(
        [sys.executable, "-c", without, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
