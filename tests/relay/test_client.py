from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.relay.budget import Bucket
from meshbox.relay.client import FRAME_COST, MAX_FRAME
from meshbox.wire.derp import FrameType, encode
from tests.relay.board import Board, disco, key_of, send

GIB = 1 << 30


def test_a_packet_arrives_with_the_key_its_sender_proved() -> None:
    board = Board()
    ann, _ = board.join("ann")
    _, to_bob = board.join("bob")
    board.say(ann, send(key_of("bob"), b"hello"))
    board.turn()
    assert to_bob.packets() == [(key_of("ann"), b"hello")]


def test_a_packet_for_a_quiet_client_goes_at_once_and_the_next_ones_together() -> None:
    board = Board()
    ann, _ = board.join("ann")
    eve, _ = board.join("eve")
    _, to_bob = board.join("bob")
    board.say(ann, send(key_of("bob"), b"first"))
    assert len(to_bob.packets()) == 1
    board.say(ann, send(key_of("bob"), b"second"))
    board.say(eve, send(key_of("bob"), b"third"))
    assert len(to_bob.packets()) == 1
    board.turn()
    assert [packet for _, packet in to_bob.packets()] == [b"first", b"second", b"third"]
    board.now += 1
    board.say(eve, send(key_of("bob"), b"fourth"))
    assert len(to_bob.packets()) == 4


def test_a_packet_to_oneself_comes_back_and_an_empty_one_arrives() -> None:
    board = Board()
    ann, to_ann = board.join("ann")
    board.say(ann, send(key_of("ann"), b""))
    board.turn()
    assert to_ann.packets() == [(key_of("ann"), b"")]


targets = st.sampled_from(["bob", "cleo", "dan"])
packets = st.one_of(st.binary(max_size=90), st.binary(max_size=30).map(disco))
frames = st.lists(
    st.one_of(
        st.tuples(targets, packets),
        st.just(("ping", b"12345678")),
        st.tuples(st.just("unknown"), st.binary(max_size=300)),
        st.just(("prefer", b"\x01")),
    ),
    max_size=30,
)


def encoded(name: str, body: bytes) -> bytes:
    kinds = {"ping": FrameType.PING, "unknown": 0x77, "prefer": FrameType.NOTE_PREFERRED}
    return encode(kinds[name], body) if name in kinds else send(key_of(name), body)


@settings(max_examples=200)
@given(frames, st.data())
def test_every_packet_arrives_in_order_however_the_stream_is_cut(
    sent: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    board = Board()
    ann, to_ann = board.join("ann")
    sockets = {name: board.join(name)[1] for name in ("bob", "cleo", "dan")}
    stream = b"".join(encoded(name, body) for name, body in sent)
    at = 0
    while at < len(stream):
        step = data.draw(st.integers(1, len(stream) - at))
        board.say(ann, stream[at : at + step])
        board.turn()
        at += step
    for name, socket in sockets.items():
        for is_disco in (False, True):
            expected = [p for to, p in sent if to == name and p.startswith(b"TS\xf0") is is_disco]
            arrived = [p for _, p in socket.packets() if p.startswith(b"TS\xf0") is is_disco]
            assert arrived == expected
    assert set(to_ann.of(FrameType.PONG)) <= {b"12345678"}
    assert board.switch.counters.unknown_frames == sum(name == "unknown" for name, _ in sent)


@settings(max_examples=300)
@given(st.binary(max_size=300))
def test_garbage_is_skipped_waits_or_ends_the_connection(garbage: bytes) -> None:
    board = Board()
    ann, _ = board.join("ann")
    try:
        waiting = board.say(ann, garbage)
    except Malformed:
        return
    assert waiting <= len(garbage)


@pytest.mark.parametrize(
    ("kind", "length"),
    [
        (FrameType.SEND_PACKET, 0),
        (FrameType.SEND_PACKET, 31),
        (FrameType.SEND_PACKET, 32 + 65_537),
        (FrameType.SEND_PACKET, 0xFFFFFFFF),
        (FrameType.PING, 7),
        (FrameType.PING, 1001),
        (FrameType.PONG, 0),
        (FrameType.NOTE_PREFERRED, 0),
        (FrameType.NOTE_PREFERRED, 2),
        (FrameType.WATCH_CONNS, 0),
        (FrameType.CLOSE_PEER, 32),
        (FrameType.FORWARD_PACKET, 64),
        (FrameType.FORWARD_PACKET, 1),
    ],
)
def test_a_header_that_may_not_be_ends_the_connection_at_once(kind: int, length: int) -> None:
    board = Board()
    ann, _ = board.join("ann")
    _, to_bob = board.join("bob")
    with pytest.raises(Malformed):
        board.say(ann, send(key_of("bob"), b"before") + struct.pack(">BI", kind, length))
    board.turn()
    assert to_bob.packets() == [(key_of("ann"), b"before")]


@pytest.mark.parametrize("length", [32, 65_568])
def test_the_shortest_and_the_longest_packet_pass(length: int) -> None:
    board = Board()
    ann, _ = board.join("ann")
    _, to_bob = board.join("bob")
    frame = send(key_of("bob"), b"x" * (length - 32))
    assert board.say(ann, frame[:-1] if length > 32 else frame[:36]) <= MAX_FRAME
    board.say(ann, frame[-1:])
    board.turn()
    assert [len(packet) for _, packet in to_bob.packets()] == [length - 32]


def test_an_unknown_frame_of_a_gibibyte_is_skipped_and_never_kept() -> None:
    board = Board()
    ann, _ = board.join("ann")
    _, to_bob = board.join("bob")
    chunk = bytes(1 << 16)
    tracemalloc.start()
    assert board.say(ann, struct.pack(">BI", 0x99, GIB) + chunk) == 0
    for _ in range(GIB // len(chunk) // 1024):
        assert board.say(ann, chunk) == 0
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    ann._skip = 5  # the rest of the gibibyte went by
    board.say(ann, b"12345" + send(key_of("bob"), b"after"))
    board.turn()
    assert to_bob.packets() == [(key_of("ann"), b"after")]


def test_a_second_hello_and_a_servers_frames_are_skipped() -> None:
    board = Board()
    ann, _ = board.join("ann")
    skipped = [FrameType.CLIENT_INFO, FrameType.RECV_PACKET, FrameType.HEALTH, FrameType.SERVER_KEY, 0]
    board.say(ann, b"".join(encode(kind, bytes(3)) for kind in skipped))
    assert board.switch.counters.unknown_frames == len(skipped)


def test_a_ping_is_answered_with_its_eight_bytes_ahead_of_data() -> None:
    board = Board()
    ann, to_ann = board.join("ann")
    board.say(ann, send(key_of("ann"), b"a first one, which goes at once"))
    to_ann.frames.clear()
    board.say(ann, send(key_of("ann"), b"data") + encode(FrameType.PING, b"12345678 and what else"))
    board.turn()
    assert [frame.kind for frame in to_ann.frames] == [FrameType.PONG, FrameType.RECV_PACKET]
    assert to_ann.of(FrameType.PONG) == [b"12345678"]


def test_a_flood_of_pings_gets_one_pong_a_turn() -> None:
    board = Board()
    ann, to_ann = board.join("ann")
    for _ in range(3):
        board.say(ann, encode(FrameType.PING, bytes(8)) * 4000)
        board.turn()
    assert len(to_ann.of(FrameType.PONG)) == 3
    assert (board.switch.counters.got_ping, board.switch.counters.sent_pong) == (12_000, 3)


def test_who_sends_more_than_its_rate_rests() -> None:
    board = Board()
    budget = Bucket(rate=10_000, size=20_000, now=board.now)
    ann, to_ann = board.join("ann", budget)
    packet = send(key_of("nobody"), bytes(1000))
    cost = len(packet) + FRAME_COST
    board.say(ann, packet * 10)
    assert to_ann.rests == []
    board.say(ann, packet * 10)
    assert to_ann.rests == [pytest.approx((20 * cost - 20_000) / 10_000)]
    assert board.switch.counters.rate_limited == 1


def test_small_frames_are_not_free() -> None:
    board = Board()
    ann, to_ann = board.join("ann", Bucket(rate=1000, size=1000, now=board.now))
    board.say(ann, encode(FrameType.PING, bytes(8)) * 100)
    assert to_ann.rests == [pytest.approx((100 * (13 + FRAME_COST) - 1000) / 1000)]


def test_a_frame_that_trickles_in_is_paid_once() -> None:
    board = Board()
    ann, to_ann = board.join("ann", Bucket(rate=1, size=13 + FRAME_COST, now=board.now))
    for byte in encode(FrameType.PING, bytes(8)):
        board.say(ann, bytes([byte]))
    assert to_ann.rests == []


def test_counters_know_packets_and_their_bytes() -> None:
    board = Board()
    ann, _ = board.join("ann")
    board.join("bob")
    board.say(ann, send(key_of("bob"), b"12345") * 3 + send(key_of("bob"), disco()))
    board.turn()
    counters = board.switch.counters
    assert (counters.packets_received, counters.bytes_received) == (4, 15 + 62)
    assert (counters.packets_sent, counters.bytes_sent) == (4, 15 + 62)
    assert counters.packets_received_disco == 1
