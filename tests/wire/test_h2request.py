"""A request's head: what is read from its fields, and what makes it no request."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.wire.h2request import PATH_LIMIT, UNKNOWN_LENGTH, Head, read_head

PSEUDO = [
    (b":method", b"POST"),
    (b":path", b"/machine/map"),
    (b":scheme", b"https"),
    (b":authority", b"unused"),
]


def test_pseudo_headers_become_the_request_line() -> None:
    fields = [*PSEUDO, (b"content-length", b"12"), (b"te", b"trailers")]
    assert read_head(fields) == Head("POST", "/machine/map", tuple(fields[4:]), 12)
    assert read_head(PSEUDO) == Head("POST", "/machine/map", (), UNKNOWN_LENGTH)


@pytest.mark.parametrize(
    "field",
    [
        (b"Upper", b"x"),
        (b"with space", b"x"),
        (b"a:b", b"x"),
        (b"", b"x"),
        (b"x", b"a\nb"),
        (b"x", b"a\rb"),
        (b"x", b"\0"),
        (b"x\n", b""),
        (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
        (b"upgrade", b"h3"),
        (b"te", b"gzip"),
        (b"content-length", b"-1"),
        (b"content-length", b"+1"),
        (b"content-length", b"1_0"),
        (b"content-length", b""),
        (b"content-length", b"1, 1"),
        (b"content-length", b"1" * 13),
        (b":path", b"/again"),
        (b":status", b"200"),
    ],
)
def test_fields_no_client_sends_void_the_request(field: tuple[bytes, bytes]) -> None:
    assert read_head([*PSEUDO, field]) is None


@pytest.mark.parametrize(
    "path", [b"", b"*", b"machine", b"/a b", b"/\xc3\xa9", b"/\r\n", b"/" + b"x" * PATH_LIMIT]
)
def test_paths_that_are_none(path: bytes) -> None:
    assert read_head([PSEUDO[0], (b":path", path), PSEUDO[2]]) is None


@pytest.mark.parametrize("method", [b"", b"GE T", b"G\0", b"G3T", b"\xc9"])
def test_methods_that_are_none(method: bytes) -> None:
    assert read_head([(b":method", method), *PSEUDO[1:]]) is None


def test_the_longest_path_is_taken() -> None:
    path = b"/" + b"x" * (PATH_LIMIT - 1)
    assert read_head([PSEUDO[0], (b":path", path), PSEUDO[2]]) is not None


def test_two_lengths_must_agree() -> None:
    two = (b"content-length", b"2")
    assert read_head([*PSEUDO, two, two]) is not None
    assert read_head([*PSEUDO, two, (b"content-length", b"3")]) is None


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=6))
def test_arbitrary_fields_are_a_head_or_none(fields: list[tuple[bytes, bytes]]) -> None:
    for all_fields in (fields, PSEUDO + fields):
        head = read_head(all_fields)
        assert head is None or head.path.startswith("/")
