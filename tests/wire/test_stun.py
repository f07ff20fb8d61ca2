from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.wire import stun

TRANSACTION = bytes(range(1, 13))
REQUEST = bytes.fromhex("000100142112a442") + TRANSACTION + bytes.fromhex("80220008") + b"tailnode"
REQUEST += bytes.fromhex("80280004") + struct.pack(">I", zlib.crc32(REQUEST) ^ 0x5354554E)


def with_fingerprint(message: bytes) -> bytes:
    """The message, its length put right, with the checksum behind it."""
    message = message[:2] + struct.pack(">H", len(message) - 20 + 8) + message[4:]
    return message + bytes.fromhex("80280004") + struct.pack(">I", zlib.crc32(message) ^ 0x5354554E)


def test_a_clients_request_is_understood() -> None:
    assert len(REQUEST) == 40
    assert stun.build_request(TRANSACTION) == REQUEST
    assert stun.parse_request(REQUEST) == TRANSACTION


def test_no_request_with_a_flipped_bit_is_answered_for_it() -> None:
    for bit in range(len(REQUEST) * 8):
        damaged = bytearray(REQUEST)
        damaged[bit // 8] ^= 1 << bit % 8
        assert stun.parse_request(bytes(damaged)) is None


def test_no_cut_request_is_answered() -> None:
    for length in range(len(REQUEST)):
        assert stun.parse_request(REQUEST[:length]) is None
    assert stun.parse_request(REQUEST + bytes(4)) is None


@given(st.binary(max_size=600))
def test_garbage_gets_no_answer(garbage: bytes) -> None:
    assert stun.parse_request(garbage) is None
    assert stun.parse_request(with_fingerprint((REQUEST[:20] + garbage)[:400])) in (None, TRANSACTION)


def test_another_software_gets_no_answer() -> None:
    other = with_fingerprint(REQUEST[:20] + bytes.fromhex("80220008") + b"notqwite")
    assert stun.parse_request(other) is None
    assert stun.parse_request(with_fingerprint(REQUEST[:20])) is None


def test_attributes_may_stand_in_between_but_not_behind() -> None:
    padded = bytes.fromhex("80990003") + b"abc\x00"
    between = with_fingerprint(REQUEST[:32] + padded)
    assert stun.parse_request(between) == TRANSACTION
    behind = REQUEST[:2] + struct.pack(">H", 28) + REQUEST[4:] + padded
    assert stun.parse_request(behind) is None


def test_the_answer_has_the_bytes_of_the_reference() -> None:
    answer = stun.build_response(TRANSACTION, "192.0.2.1", 32853)
    assert answer == (
        bytes.fromhex("0101000c2112a442") + TRANSACTION + bytes.fromhex("00200008 0001 a147 e112a643")
    )
    assert len(stun.build_response(TRANSACTION, "2001:db8::1", 1)) == 44


@pytest.mark.parametrize("host", ["::ffff:192.0.2.1", "192.0.2.1"])
def test_ipv4_is_told_as_ipv4_whatever_socket_it_came_through(host: str) -> None:
    assert stun.parse_response(stun.build_response(TRANSACTION, host, 7)) == (TRANSACTION, "192.0.2.1", 7)


@given(st.ip_addresses(), st.integers(0, 65535), st.binary(min_size=12, max_size=12))
def test_the_client_reads_what_we_told(address: object, port: int, transaction: bytes) -> None:
    told = stun.parse_response(stun.build_response(transaction, str(address), port))
    expected = getattr(address, "ipv4_mapped", None) or address
    assert told == (transaction, str(expected), port)


def test_a_link_local_source_has_its_zone_left_out() -> None:
    assert stun.parse_response(stun.build_response(TRANSACTION, "fe80::1%eth0", 7)) == (
        TRANSACTION,
        "fe80::1",
        7,
    )


@given(st.binary(max_size=60))
def test_garbage_is_no_answer(garbage: bytes) -> None:
    assert stun.parse_response(garbage) is None


def test_an_answer_is_no_greater_than_forgers_could_wish() -> None:
    assert len(stun.build_response(TRANSACTION, "2001:db8::1", 1)) <= 1.1 * len(REQUEST)
