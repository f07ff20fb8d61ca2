from __future__ import annotations

import contextlib
import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.wire.clienthello import HELLO_LIMIT, Incomplete, server_name


def hello(name: str | None) -> bytes:
    """What OpenSSL sends first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    out = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def in_records(message: bytes, size: int) -> bytes:
    """The same handshake cut into records of so many bytes."""
    body = message[5:]
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


@pytest.mark.parametrize(
    ("asked", "found"), [("derp.example.com", "derp.example.com"), ("Derp.Example.COM", "derp.example.com")]
)
def test_the_name_that_openssl_asks_for(asked: str, found: str) -> None:
    assert server_name(hello(asked)) == found


def test_a_client_that_dials_an_address_asks_for_none() -> None:
    assert server_name(hello("192.0.2.7")) == ""
    assert server_name(hello(None)) == ""


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_hello_cut_into_records(size: int) -> None:
    assert server_name(in_records(hello("derp.example.com"), size)) == "derp.example.com"


def test_every_beginning_wants_more() -> None:
    whole = hello("derp.example.com")
    for end in range(len(whole)):
        with pytest.raises(Incomplete):
            server_name(whole[:end])


@pytest.mark.parametrize(
    "received", [b"GET / HTTP/1.1\r\n", b"\x15\x03\x01\x00\x02\x02\x28", b"\x16\x03\x01\x00\x00"]
)
def test_what_is_no_hello_has_no_name(received: bytes) -> None:
    assert server_name(received) == ""


def test_a_hello_that_never_ends_has_no_name() -> None:
    endless = b"\x16\x03\x01\x40\x00" + b"\x01\x00\xff\xff" + bytes(HELLO_LIMIT)
    assert server_name(endless) == ""


@given(st.binary(max_size=600))
def test_nothing_else_is_ever_raised(noise: bytes) -> None:
    for received in (noise, b"\x16\x03\x01\x00\x30\x01\x00\x00" + noise):
        with contextlib.suppress(Incomplete):
            assert isinstance(server_name(received), str)


@given(st.data())
def test_a_damaged_hello_raises_nothing(data: st.DataObject) -> None:
    damaged = bytearray(hello("derp.example.com"))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Incomplete):
        assert isinstance(server_name(bytes(damaged)), str)
