"""The request head: what is accepted, and every way of being ambiguous refused."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.serve.head import (
    HEAD_LIMIT,
    HeadTooLarge,
    client_address,
    parse_head,
    short_answer,
)

PLAIN = (
    b"POST /ts2021?x=1 HTTP/1.1\r\nHost: ctl\r\nConnection: keep-alive, Upgrade\r\nX-A: 1\r\nx-a: 2\r\n\r\n"
)


def head_with(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /key HTTP/1.1", b"Host: ctl", *lines, b"", b""])


def test_a_head_is_read_with_lower_case_names_and_joined_repeats() -> None:
    head = parse_head(PLAIN + b"leftover")
    assert head is not None
    assert (head.method, head.target, head.path) == ("POST", "/ts2021?x=1", "/ts2021")
    assert head.headers == {"host": "ctl", "connection": "keep-alive, Upgrade", "x-a": "1, 2"}
    assert head.raw == PLAIN
    assert head.has_token("connection", "upgrade")
    assert not head.has_token("connection", "grade")


def test_an_incomplete_head_is_not_an_error_at_any_length() -> None:
    for length in range(len(PLAIN)):
        assert parse_head(PLAIN[:length]) is None


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /key\r\n\r\n",
        b"GET  /key HTTP/1.1\r\n\r\n",
        b"GET /key HTTP/2.0\r\n\r\n",
        b"GET http://ctl/key HTTP/1.1\r\n\r\n",
        b"GET * HTTP/1.1\r\n\r\n",
        b"CONNECT ctl:443 HTTP/1.1\r\n\r\n",
        b"GET /k\x00ey HTTP/1.1\r\n\r\n",
        b"GET /k\xffey HTTP/1.1\r\n\r\n",
        b"GET /a/../key HTTP/1.1\r\n\r\n",
        b"GET /a/%2e%2E/key HTTP/1.1\r\n\r\n",
        b"GET /a\\..\\key HTTP/1.1\r\n\r\n",
        b"G@T /key HTTP/1.1\r\n\r\n",
        head_with(b"no colon"),
        head_with(b" folded: line"),
        head_with(b"space before : colon"),
        head_with(b": empty name"),
        head_with(b"x: nul\x00"),
        head_with(b"x: bare\rreturn"),
        head_with(b"x: bare\nnewline: y"),
        head_with(b"x: not utf-8 \xff\xfe"),
        head_with(b"Content-Length: 1", b"Content-Length: 1"),
        head_with(b"Content-Length: -1"),
        head_with(b"Content-Length: +1"),
        head_with(b"Content-Length: 1, 2"),
        head_with(b"Content-Length: 0x10"),
        head_with(b"Content-Length: " + b"9" * 40),
        head_with("Content-Length: ١".encode()),
        head_with(b"Content-Length: 3", b"Transfer-Encoding: chunked"),
        head_with(b"Transfer-Encoding: chunked, chunked"),
        head_with(b"Transfer-Encoding: gzip, chunked"),
        head_with(b"Transfer-Encoding: \x0bchunked"),
    ],
)
def test_a_head_that_could_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    with pytest.raises(Malformed):
        parse_head(raw)


def test_a_head_is_bounded_in_bytes_and_in_headers() -> None:
    with pytest.raises(HeadTooLarge):
        parse_head(b"GET /key HTTP/1.1\r\nx: " + b"a" * HEAD_LIMIT)
    with pytest.raises(HeadTooLarge):
        parse_head(head_with(b"x: " + b"a" * HEAD_LIMIT))
    with pytest.raises(HeadTooLarge):
        parse_head(head_with(*[b"a: 1"] * 200))


@given(st.binary(max_size=300))
def test_any_bytes_give_a_head_or_a_refusal(data: bytes) -> None:
    for raw in (data, b"GET /" + data, head_with(data)):
        try:
            head = parse_head(raw)
        except (Malformed, HeadTooLarge):
            continue
        assert head is None or raw.startswith(head.raw)


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:4711", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "forged nonsense", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense, 10.0.0.2", "10.0.0.2"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "10.0.0.7", "10.0.0.7"),
    ],
)
def test_only_a_trusted_proxy_may_say_who_the_client_is(peer: str, forwarded: str, expected: str) -> None:
    headers = {"x-forwarded-for": forwarded}
    assert client_address(headers, peer, [ip_network("10.0.0.0/8")]) == expected
    assert client_address(headers, peer, []) == peer


def test_a_short_answer_is_complete_and_final() -> None:
    answer = short_answer(431, "too much", [("Retry-After", "5")])
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert b"Connection: close" in head and b"Retry-After: 5" in head
    assert f"Content-Length: {len(body)}".encode() in head
