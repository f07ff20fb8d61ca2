"""Sealed files: what goes in comes out for who has the key, and nothing else does for anybody."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire import sealed
from meshbox.wire.sealed import CHUNK, HASH, MAGIC, SEALED_CHUNK, Sealer, is_whole, opened, public_key_of

PRIVATE, OTHER = bytes(range(32)), bytes(range(1, 33))
LABEL = {"host": "box", "created": "2026-11-25"}


def seal(plain: bytes, *recipients: bytes, portion: int = 1 << 30) -> bytes:
    sealer = Sealer(LABEL, recipients or (public_key_of(PRIVATE),), os.urandom)
    out = bytearray()
    for at in range(0, len(plain), portion):
        out += sealer.feed(plain[at : at + portion])
    return bytes(out) + sealer.finish()


def pieces(data: bytes, size: int = 10_000) -> Iterator[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def unseal(data: bytes, private: bytes = PRIVATE, size: int = 10_000) -> bytes:
    return b"".join(opened(pieces(data, size), private))


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK, 3 * CHUNK + 5])
def test_what_goes_in_comes_out_for_the_recipient(size: int) -> None:
    plain = os.urandom(size)
    data = seal(plain, portion=7_001)
    assert unseal(data) == plain == unseal(data, size=1 << 30)
    assert is_whole(pieces(data, 999))
    if size > 64:
        assert plain[:64] not in data


@settings(max_examples=50, deadline=None)
@given(st.binary(max_size=300_000), st.integers(1, 100_000), st.integers(1, 100_000))
def test_portions_do_not_matter(plain: bytes, portion: int, size: int) -> None:
    assert unseal(seal(plain, portion=portion), size=size) == plain


def test_several_recipients_and_nobody_else() -> None:
    data = seal(b"for two", public_key_of(OTHER), public_key_of(PRIVATE))
    assert unseal(data) == unseal(data, OTHER) == b"for two"
    with pytest.raises(Malformed, match="another key"):
        unseal(data, bytes(range(2, 34)))


def test_the_label_is_for_everybody() -> None:
    label, _ = sealed.read_label(seal(b"x")[:4096])
    assert label == {**LABEL, "recipients": 1}


def test_no_two_are_alike() -> None:
    assert seal(b"the same") != seal(b"the same")


def test_every_byte_counts() -> None:
    data = seal(b"some words")
    for at in range(len(data) - HASH):
        changed = bytearray(data)
        changed[at] ^= 1
        with pytest.raises(Malformed):
            unseal(bytes(changed))
        assert not is_whole(pieces(bytes(changed)))
    changed = bytearray(data)
    changed[-1] ^= 1
    assert not is_whole(pieces(bytes(changed)))


def test_the_label_cannot_be_exchanged() -> None:
    data = seal(b"some words")
    text = json.dumps({**LABEL, "host": "BOX", "recipients": 1}, sort_keys=True).encode()
    forged = MAGIC + text + data[data.index(b"\n", len(MAGIC)) :]
    assert len(forged) == len(data)
    with pytest.raises(Malformed, match="damaged or was changed"):
        unseal(forged)


def test_cut_off_anywhere() -> None:
    data = seal(os.urandom(2 * CHUNK + 100))
    for end in (*range(0, 400, 7), *range(400, len(data), 5_003), len(data) - HASH, len(data) - HASH - 1):
        with pytest.raises(Malformed):
            unseal(data[:end])
        assert not is_whole(pieces(data[:end]))


def test_chunks_cannot_change_places_or_be_left_out_or_added() -> None:
    data = seal(os.urandom(4 * CHUNK))
    body = data.index(b"\n", len(MAGIC)) + 1 + sealed.SEALED_KEY + sealed.STREAM_HEADER
    chunks = [data[at : at + SEALED_CHUNK] for at in range(body, len(data) - HASH, SEALED_CHUNK)]
    start, end = data[:body], data[-HASH:]
    assert start + b"".join(chunks) + end == data
    for order in ((1, 0, 2, 3), (0, 2, 3), (0, 1, 2), (0, 1, 1, 2, 3), (0, 1, 2, 3, 3)):
        with pytest.raises(Malformed):
            unseal(start + b"".join(chunks[at] for at in order) + end)


@given(st.binary(max_size=300))
def test_no_bytes_are_a_crash(data: bytes) -> None:
    for start in (b"", MAGIC, MAGIC + b'{"recipients":1}\n'):
        with pytest.raises(Malformed):
            unseal(start + data)
