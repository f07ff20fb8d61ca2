from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire import derp
from meshbox.wire.derp import Frame, FrameReader, FrameType, GoneReason

KEY = bytes(range(32))

frames = st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=80)), max_size=8)


def test_frames_have_the_bytes_of_the_reference() -> None:
    assert derp.server_key(KEY) == bytes.fromhex("01 00000028 44455250f09f9491") + KEY
    assert derp.peer_gone(KEY, GoneReason.NOT_HERE) == bytes.fromhex("08 00000021") + KEY + b"\x01"
    assert derp.pong(b"12345678") == bytes.fromhex("13 00000008") + b"12345678"
    assert list(FrameReader().feed(derp.KEEP_ALIVE)) == [Frame(6, b"")]
    assert derp.health("") == bytes.fromhex("14 00000000")
    assert derp.health("é") == bytes.fromhex("14 00000002 c3a9")


@given(frames, st.data())
def test_a_stream_is_read_alike_however_it_is_cut(sent: list[tuple[int, bytes]], data: st.DataObject) -> None:
    stream = b"".join(derp.encode(kind, body) for kind, body in sent)
    reader = FrameReader()
    seen: list[Frame] = []
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        seen += reader.feed(stream[at : at + step])
        at += step
    assert seen == [Frame(kind, body) for kind, body in sent]


@given(st.binary(max_size=200))
def test_garbage_is_frames_or_malformed(garbage: bytes) -> None:
    try:
        for frame in FrameReader().feed(garbage):
            assert len(frame.body) <= derp.MAX_TO_CLIENT
    except Malformed:
        pass


def test_a_length_over_the_limit_is_refused_before_its_body_arrives() -> None:
    reader = FrameReader(limit=100)
    assert list(reader.feed(struct.pack(">BI", 5, 100))) == []
    with pytest.raises(Malformed):
        list(FrameReader(limit=100).feed(struct.pack(">BI", 5, 101)))


@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [
        (FrameType.CLIENT_INFO, 56, 16_384),
        (FrameType.SEND_PACKET, 32, 65_568),
        (FrameType.FORWARD_PACKET, 64, 65_600),
        (FrameType.NOTE_PREFERRED, 1, 1),
        (FrameType.WATCH_CONNS, 0, 0),
        (FrameType.CLOSE_PEER, 32, 32),
        (FrameType.PING, 8, 1000),
        (FrameType.PONG, 8, 1000),
    ],
)
def test_lengths_of_a_clients_frames(kind: FrameType, least: int, most: int) -> None:
    derp.check_length(kind, least)
    derp.check_length(kind, most)
    for wrong in (least - 1, most + 1, 0xFFFFFFFF):
        with pytest.raises(Malformed):
            derp.check_length(kind, wrong)


def test_lengths_of_unknown_frames_are_nobodys_business() -> None:
    derp.check_length(0x77, 0xFFFFFFFF)


def test_discovery_is_told_from_data() -> None:
    whole = derp.DISCO_MAGIC + bytes(56)
    assert derp.DISCO_MAGIC.hex() == "5453f09f92ac"
    assert derp.is_disco(whole)
    assert derp.is_disco(memoryview(whole + b"more"))
    assert not derp.is_disco(whole[:-1])
    assert not derp.is_disco(b"x" + whole)
