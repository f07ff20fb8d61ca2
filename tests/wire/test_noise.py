"""The Noise channel: the published vector, two ends in memory, and every byte of it altered."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.errors import Malformed, PeerError
from meshbox.wire import noise
from meshbox.wire.noise import Handshake, NoiseError, Records
from tests.fake.noise import Initiator as IndependentInitiator
from tests.fake.noise import Records as IndependentRecords
from tests.wire.test_primitives import LOW_ORDER

STATIC, MACHINE, CLIENT_EPHEMERAL, SERVER_EPHEMERAL = (
    bytes([byte]) * 32 for byte in (0x11, 0x22, 0x33, 0x44)
)
SERVER_PUBLIC = bytes.fromhex("7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13")
CLIENT_PUBLIC = bytes.fromhex("0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20")
INITIATION = bytes.fromhex(
    "00910100607b0d47d93427f8311160781c7c733fd89f88970aef490d8aa0ee19a4cb8a1b14b903b541e3810f9a9f788541f1d8f2"
    "ec482568e39b9f0f56a9f4a7a56450f31a9dc60bcb4e75254359f9460a6bc3abd2a01b3a2deff662afe0b9497becb6a113"
)
RESPONSE = bytes.fromhex(
    "020030ff2ee45601ec1b67310c7790404585ae697331eee1c1f8cf2419731c1fff3e6bb724869747b9edde7346ebd00e8c83be"
)
TRANSCRIPT = bytes.fromhex("06c59e2c9cf61b04919795c127f29cd25363c67a77723b7299ba3118c8f04886")
PINGS = (
    "0400150ca5fb299ea64cd897bc4ac195dada7bf2d6f0443a",
    "0400153b8fffa8f017a3c66e9d6131dc823a200dfa0180b6",
)
PONGS = (
    "040015872bfecea027379cea1914b086ff475645554c5b2d",
    "040015ddad861cc1257e6945f14c793d2298031d654c3e6b",
)


def shake() -> Handshake:
    return noise.server_handshake(INITIATION, STATIC, SERVER_EPHEMERAL)


def pair() -> tuple[Records, Records]:
    """The server's and the client's end of one connection."""
    hands = shake()
    return Records(hands.rx_key, hands.tx_key), Records(hands.tx_key, hands.rx_key)


def test_the_published_vector_is_reproduced() -> None:
    initiation, initiator = noise.client_initiation(SERVER_PUBLIC, MACHINE, CLIENT_EPHEMERAL, 145)
    assert initiation == INITIATION
    hands = shake()
    assert hands.response == RESPONSE
    assert (hands.machine_key, hands.version, hands.transcript) == (CLIENT_PUBLIC, 145, TRANSCRIPT)
    client = noise.client_finish(initiator, RESPONSE)
    assert client.transcript == TRANSCRIPT
    there, back = Records(client.rx_key, client.tx_key), Records(hands.rx_key, hands.tx_key)
    assert tuple(there.seal(text).hex() for text in (b"ping0", b"ping1")) == PINGS
    assert tuple(back.seal(text).hex() for text in (b"pong0", b"pong1")) == PONGS
    assert back.feed(bytes.fromhex("".join(PINGS))) == [b"ping0", b"ping1"]
    assert there.feed(bytes.fromhex("".join(PONGS))) == [b"pong0", b"pong1"]


@given(*[st.binary(min_size=32, max_size=32)] * 4, st.integers(0, 65535))
@settings(max_examples=15, deadline=None)
def test_an_independent_client_of_any_version_agrees(
    static: bytes, machine: bytes, client_ephemeral: bytes, server_ephemeral: bytes, version: int
) -> None:
    client = IndependentInitiator(machine, client_ephemeral, noise.public_of(static), version)
    hands = noise.server_handshake(client.initiation, static, server_ephemeral)
    assert hands.version == version
    assert hands.machine_key == noise.public_of(machine)
    there = IndependentRecords(*client.finish(hands.response))
    here = Records(hands.rx_key, hands.tx_key)
    long = bytes(range(256)) * 100
    assert b"".join(here.feed(there.seal(long))) == long
    assert there.feed(here.seal(long)) == long


@pytest.mark.parametrize("at", range(noise.INITIATION_BYTES))
def test_every_altered_byte_of_an_initiation_is_refused(at: int) -> None:
    altered = bytearray(INITIATION)
    altered[at] ^= 1
    wanted = Malformed if 2 <= at < 5 else NoiseError
    with pytest.raises(wanted):
        noise.server_handshake(bytes(altered), STATIC, SERVER_EPHEMERAL)


@pytest.mark.parametrize("initiation", [b"", INITIATION[:-1], INITIATION + b"\0", INITIATION * 2])
def test_an_initiation_of_another_length_is_refused(initiation: bytes) -> None:
    with pytest.raises(Malformed):
        noise.server_handshake(initiation, STATIC, SERVER_EPHEMERAL)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_arbitrary_initiations_end_in_a_peer_error(initiation: bytes) -> None:
    with pytest.raises(PeerError):
        noise.server_handshake(initiation, STATIC, SERVER_EPHEMERAL)


def test_another_server_key_does_not_fit() -> None:
    with pytest.raises(NoiseError):
        noise.server_handshake(INITIATION, MACHINE, SERVER_EPHEMERAL)


@pytest.mark.parametrize("point", LOW_ORDER)
def test_points_of_low_order_are_refused(point: bytes) -> None:
    with pytest.raises(NoiseError, match="low order"):
        noise.server_handshake(INITIATION[:5] + point + INITIATION[37:], STATIC, SERVER_EPHEMERAL)


@pytest.mark.parametrize("at", range(noise.RESPONSE_BYTES))
def test_every_altered_byte_of_a_response_is_refused(at: int) -> None:
    _, initiator = noise.client_initiation(SERVER_PUBLIC, MACHINE, CLIENT_EPHEMERAL, 145)
    altered = bytearray(RESPONSE)
    altered[at] ^= 1
    with pytest.raises(PeerError):
        noise.client_finish(initiator, bytes(altered))


def test_an_error_frame_reaches_the_client_as_words() -> None:
    _, initiator = noise.client_initiation(SERVER_PUBLIC, MACHINE, CLIENT_EPHEMERAL, 145)
    with pytest.raises(Malformed, match="the server refused: no such luck"):
        noise.client_finish(initiator, noise.error_frame("no such luck"))
    assert noise.error_frame("abc") == b"\x03\x00\x03abc"
    assert len(noise.error_frame("x" * 9000)) == 4096


def test_two_handshakes_with_one_initiation_share_no_record_key() -> None:
    # A replayed initiation is answered, but whoever replayed it cannot use the answer.
    again = noise.server_handshake(INITIATION, STATIC, bytes([0x55]) * 32)
    assert {again.rx_key, again.tx_key}.isdisjoint({shake().rx_key, shake().tx_key})


def test_no_key_is_printed() -> None:
    hands = shake()
    assert hands.rx_key.hex() not in repr(hands)
    assert repr(hands.rx_key) not in repr(hands)
    _, initiator = noise.client_initiation(SERVER_PUBLIC, MACHINE, CLIENT_EPHEMERAL, 145)
    assert repr(MACHINE) not in repr(initiator)


# Records


@pytest.mark.parametrize("at", range(24))
def test_every_altered_byte_of_a_record_ends_the_connection(at: int) -> None:
    server, client = pair()
    altered = bytearray(client.seal(b"ping0"))
    altered[at] ^= 0x40
    good = client.seal(b"ping1")
    try:
        # A longer length only makes the record wait for bytes, and the next one's header then breaks it.
        assert server.feed(bytes(altered)) == []
        with pytest.raises(NoiseError):
            server.feed(good * 200)
    except NoiseError:
        pass
    for later in (good, b"", client.seal(b"ping2")):
        with pytest.raises(NoiseError):
            server.feed(later)


@given(st.lists(st.binary(max_size=9000), max_size=6), st.lists(st.integers(1, 5000)))
@settings(max_examples=60, deadline=None)
def test_records_cut_anywhere_carry_the_same_bytes(messages: list[bytes], cuts: list[int]) -> None:
    server, client = pair()
    stream = b"".join(client.seal(message) for message in messages)
    plain: list[bytes] = []
    for cut in cuts:
        plain += server.feed(stream[:cut])
        stream = stream[cut:]
    plain += server.feed(stream)
    assert b"".join(plain) == b"".join(messages)


def test_records_arrive_byte_by_byte() -> None:
    server, client = pair()
    plain = [
        text for byte in client.seal(b"x" * 5000) + client.seal(b"") for text in server.feed(bytes([byte]))
    ]
    assert [len(text) for text in plain] == [4077, 923, 0]


@pytest.mark.parametrize(
    ("size", "records"), [(0, [16]), (1, [17]), (4077, [4093]), (4078, [4093, 17]), (8155, [4093, 4093, 17])]
)
def test_a_record_never_passes_4096_bytes(size: int, records: list[int]) -> None:
    server, client = pair()
    sealed = server.seal(memoryview(bytes(size)))
    lengths, at = [], 0
    while at < len(sealed):
        lengths.append(int.from_bytes(sealed[at + 1 : at + 3], "big"))
        at += 3 + lengths[-1]
    assert lengths == records
    assert b"".join(client.feed(sealed)) == bytes(size)


@pytest.mark.parametrize("header", ["04000f", "040000", "040ffe", "04ffff", "03", "00", "05", "47"])
def test_a_wrong_header_is_refused_before_its_body_arrives(header: str) -> None:
    server, _ = pair()
    with pytest.raises(NoiseError):
        server.feed(bytes.fromhex(header))


def test_used_up_nonces_end_the_connection() -> None:
    server, client = pair()
    last = noise.NONCE_LIMIT - 1
    client._sent = server._received = last
    assert server.feed(client.seal(b"last")) == [b"last"]
    with pytest.raises(NoiseError, match="used up our"):
        client.seal(b"")
    client._sent = last
    with pytest.raises(NoiseError, match="used up our"):
        client.seal(bytes(5000))
    with pytest.raises(NoiseError, match="used up its"):
        server.feed(client.seal(b"again"))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_arbitrary_records_decrypt_to_nothing(data: bytes) -> None:
    server, _ = pair()
    try:
        assert server.feed(data) == []
    except NoiseError:
        return
    assert data[:1] in (b"", b"\x04")


def test_a_handshake_is_a_value() -> None:
    assert replace(shake(), version=3).version == 3
    assert shake() == shake()
