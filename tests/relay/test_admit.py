from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.public import Box, PrivateKey, PublicKey

from meshbox.errors import Malformed
from meshbox.relay.admit import Hello, Identity
from meshbox.wire.derp import FrameReader, FrameType

SERVER = PrivateKey(bytes(range(1, 33)))
CLIENT = PrivateKey(bytes(range(33, 65)))
IDENTITY = Identity(bytes(SERVER))
NONCE = bytes(24)


def client_info(text: bytes, client: PrivateKey = CLIENT, to: PublicKey = SERVER.public_key) -> bytes:
    """As a client makes it, with the high-level box of NaCl."""
    return bytes(client.public_key) + bytes(Box(client, to).encrypt(text, NONCE))


def hello(**fields: object) -> Hello:
    return IDENTITY.open_client_info(client_info(json.dumps({"version": 2, **fields}).encode()))


def test_the_greeting_names_our_key() -> None:
    (frame,) = FrameReader().feed(IDENTITY.greeting)
    assert frame.kind == FrameType.SERVER_KEY
    assert frame.body[8:] == bytes(SERVER.public_key)


def test_what_real_clients_say_is_understood() -> None:
    said = IDENTITY.open_client_info(client_info(b'{"version":2,"CanAckPings":false}'))
    assert said.key == bytes(CLIENT.public_key)
    assert (said.version, said.can_ack_pings, said.is_prober, said.app_name) == (2, False, False, "")
    assert said.mesh_key is None


def test_names_of_fields_come_in_any_case_and_unknown_ones_pass() -> None:
    said = hello(canackpings=True, ISPROBER=True, AppName="x" * 100, Later=[1], meshKey="AB" * 32)
    assert said.can_ack_pings
    assert said.is_prober
    assert said.app_name == "x" * 64
    assert said.mesh_key == b"\xab" * 32


def test_the_client_can_read_our_answer() -> None:
    (frame,) = FrameReader().feed(IDENTITY.server_info(hello(), bytes(range(24))))
    assert frame.kind == FrameType.SERVER_INFO
    assert json.loads(Box(CLIENT, SERVER.public_key).decrypt(frame.body)) == {"version": 2}


def test_no_hello_with_a_flipped_bit_is_believed() -> None:
    good = client_info(b'{"version":2,"CanAckPings":true}')
    for bit in range(len(good) * 8):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            said = IDENTITY.open_client_info(bytes(damaged))
        except Malformed:
            continue
        # X25519 ignores the highest bit of a key: the proof holds, for a key that is not the node's.
        assert bit == 31 * 8 + 7
        assert said.key != bytes(CLIENT.public_key)


@pytest.mark.parametrize("length", [0, 31, 32, 55, 56, 71, 16_385, 300_000])
def test_a_hello_of_wrong_length_is_refused(length: int) -> None:
    with pytest.raises(Malformed):
        IDENTITY.open_client_info(bytes(length))


def test_a_hello_to_another_relay_is_refused() -> None:
    other = PrivateKey(bytes(range(7, 39))).public_key
    with pytest.raises(Malformed):
        IDENTITY.open_client_info(client_info(b'{"version":2}', to=other))


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"])
def test_a_key_without_a_secret_is_refused(key: bytes) -> None:
    """Points of low order: anybody could seal a hello in their name."""
    with pytest.raises(Malformed):
        IDENTITY.open_client_info(key + client_info(b'{"version":2}')[32:])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"2",
        b"\xff\xfe",
        b"[" * 5000,
        b'{"version":"2"}',
        b'{"version":true}',
        b'{"version":2,"CanAckPings":1}',
        b'{"version":2,"AppName":7}',
        b'{"version":2,"meshKey":""}',
        b'{"version":2,"meshKey":"abcd"}',
        b'{"version":2,"meshKey":"' + b"x" * 64 + b'"}',
    ],
)
def test_a_sealed_hello_that_says_nonsense_is_refused(text: bytes) -> None:
    with pytest.raises(Malformed):
        IDENTITY.open_client_info(client_info(text))


def test_absent_and_null_are_the_same() -> None:
    assert IDENTITY.open_client_info(client_info(b'{"AppName":null}')).app_name == ""


@settings(max_examples=50)
@given(st.binary(min_size=56, max_size=200))
def test_garbage_is_no_hello(garbage: bytes) -> None:
    with pytest.raises(Malformed):
        IDENTITY.open_client_info(garbage)
