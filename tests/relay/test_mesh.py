from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.relay.client import Client
from meshbox.relay.mesh import Elsewhere, forward_frames
from meshbox.relay.queue import Run
from meshbox.wire.derp import (
    MAX_PACKET,
    FrameReader,
    FrameType,
    PresentFlags,
    encode,
    presence_of,
)
from tests.relay.board import Board, Socket, disco, key_of, send


class Way:
    """Another relay, as a list of what went there."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, bytes, bytes]] = []

    def forward(self, to: bytes, run: Run) -> None:
        for frame in FrameReader().feed(forward_frames(to, run)):
            assert frame.kind == FrameType.FORWARD_PACKET
            self.sent.append((frame.body[:32], frame.body[32:64], frame.body[64:]))


def join_relay(board: Board, name: str) -> tuple[Client, Socket]:
    socket = Socket()
    presence = presence_of("192.0.2.9", 443, PresentFlags.MESH_PEER)
    client = Client(key_of(name), socket, board.switch, None, board.now, presence)
    socket.client = client
    board.switch.add(client, board.now)
    return client, socket


def forward(source: bytes, to: bytes, packet: bytes) -> bytes:
    return encode(FrameType.FORWARD_PACKET, source, to, packet)


WATCH = encode(FrameType.WATCH_CONNS)


def test_a_packet_goes_to_the_relay_where_its_destination_is() -> None:
    board, way = Board(), Way()
    ann, _ = board.join("ann")
    board.switch.learn(key_of("bob"), way)
    board.say(ann, send(key_of("bob"), b"one") + send(key_of("bob"), b"two"))
    assert way.sent == [(ann.key, key_of("bob"), b"one"), (ann.key, key_of("bob"), b"two")]


def test_a_local_connection_goes_before_all_relays() -> None:
    board, way = Board(), Way()
    ann, _ = board.join("ann")
    bob, socket = board.join("bob")
    board.switch.learn(bob.key, way)
    board.say(ann, send(bob.key, b"here"))
    board.turn()
    assert socket.packets() == [(ann.key, b"here")]
    assert way.sent == []


def test_the_relay_that_had_a_key_first_is_used_and_then_the_next() -> None:
    first, second = Way(), Way()
    elsewhere = Elsewhere()
    elsewhere.add(b"k", first)
    elsewhere.add(b"k", second)
    elsewhere.add(b"k", first)
    assert elsewhere.way_to(b"k") is first
    assert not elsewhere.remove(b"k", first)
    assert elsewhere.way_to(b"k") is second
    assert elsewhere.remove(b"k", second)
    assert elsewhere.way_to(b"k") is None
    assert not elsewhere.remove(b"k", second)


def test_a_lost_relay_takes_along_what_it_taught() -> None:
    board, one, other = Board(), Way(), Way()
    ann, socket = board.join("ann")
    for way in (one, other):
        board.switch.learn(key_of("bob"), way)
    board.switch.learn(key_of("eve"), one)
    board.switch.lose(one)
    assert board.switch.remote_count == 1
    board.say(ann, send(key_of("eve"), disco()) + send(key_of("bob"), b"x"))
    board.turn()
    assert socket.of(FrameType.PEER_GONE) == [key_of("eve") + b"\x01"]
    assert len(other.sent) == 1


def test_a_watching_relay_is_told_of_everybody_and_of_every_change() -> None:
    board = Board()
    ann, _ = board.join("ann")
    relay, socket = join_relay(board, "relay")
    board.say(relay, WATCH)
    board.turn()
    assert {body[:32] for body in socket.of(FrameType.PEER_PRESENT)} == {ann.key, relay.key}
    bob, _ = board.join("bob")
    twin, _ = board.join("bob")
    board.leave(bob)
    board.turn()
    assert [body[:32] for body in socket.of(FrameType.PEER_PRESENT)][2:] == [bob.key, bob.key]
    assert socket.of(FrameType.PEER_GONE) == []
    board.leave(twin)
    board.turn()
    assert socket.of(FrameType.PEER_GONE) == [bob.key + b"\x00"]
    assert board.switch.watcher_count == 1
    board.leave(relay)
    assert board.switch.watcher_count == 0


@pytest.mark.parametrize(
    ("address", "packed"),
    [
        ("192.0.2.1", bytes(10) + b"\xff\xff\xc0\x00\x02\x01"),
        ("2001:db8::1%eth0", bytes.fromhex("20010db8000000000000000000000001")),
        ("", bytes(16)),
    ],
)
def test_presence_has_51_bytes_with_its_key(address: str, packed: bytes) -> None:
    assert presence_of(address, 0x1234, 5) == packed + b"\x12\x34\x05"
    assert len(key_of("ann") + presence_of(address, 1, 1)) == 51


def test_what_another_relay_forwards_arrives_with_its_source() -> None:
    board = Board()
    bob, socket = board.join("bob")
    relay, _ = join_relay(board, "relay")
    packets = [b"", b"x", bytes(MAX_PACKET)]
    data = b"".join(forward(key_of("far"), bob.key, packet) for packet in packets)
    for at in range(0, len(data), 40_000):
        board.say(relay, data[at : at + 40_000])
    board.turn()
    assert socket.packets() == [(key_of("far"), packet) for packet in packets]
    assert board.switch.counters.packets_forwarded_in == 3


def test_what_was_forwarded_is_never_forwarded_again() -> None:
    board, way = Board(), Way()
    relay, socket = join_relay(board, "relay")
    board.switch.learn(key_of("bob"), way)
    board.say(relay, forward(key_of("far"), key_of("bob"), disco()) * 5)
    board.turn()
    assert way.sent == []
    assert board.dropped("unknown_dest_on_fwd") == 5
    assert socket.of(FrameType.PEER_GONE) == [key_of("bob") + b"\x01"] * 3


def test_a_receiver_hears_of_the_end_of_a_far_sender_only_when_it_is_gone_everywhere() -> None:
    board, way = Board(), Way()
    bob, socket = board.join("bob")
    far, _ = board.join("far")
    relay, _ = join_relay(board, "relay")
    board.switch.learn(far.key, way)
    board.say(relay, forward(far.key, bob.key, b"hello"))
    board.leave(far)
    board.turn()
    assert socket.of(FrameType.PEER_GONE) == []
    board.switch.unlearn(far.key, way)
    board.turn()
    assert socket.of(FrameType.PEER_GONE) == [far.key + b"\x00"]


def test_a_relay_may_close_a_client() -> None:
    board = Board()
    _, socket = board.join("bob")
    relay, _ = join_relay(board, "relay")
    board.say(relay, encode(FrameType.CLOSE_PEER, key_of("bob")))
    assert socket.closed
    board.say(relay, encode(FrameType.CLOSE_PEER, key_of("nobody")))


@pytest.mark.parametrize(
    "frame", [WATCH, encode(FrameType.CLOSE_PEER, bytes(32)), forward(bytes(32), bytes(32), b"")]
)
def test_who_is_no_relay_may_do_none_of_this(frame: bytes) -> None:
    board = Board()
    ann, _ = board.join("ann")
    with pytest.raises(Malformed):
        board.say(ann, frame)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20))
def test_runs_become_forwards_packet_by_packet(packets: list[bytes]) -> None:
    frames = b"".join(encode(FrameType.RECV_PACKET, key_of("ann"), packet) for packet in packets)
    way = Way()
    way.forward(key_of("bob"), Run(frames, len(packets), False))
    assert way.sent == [(key_of("ann"), key_of("bob"), packet) for packet in packets]
