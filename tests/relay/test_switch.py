from __future__ import annotations

import pytest

from meshbox.relay.client import FLUSH_AT
from meshbox.relay.queue import DEPTH
from meshbox.relay.switch import SETTLE
from meshbox.wire.derp import FrameType, encode
from tests.relay.board import Board, disco, key_of, send

PREFER, NOT_PREFER = (encode(FrameType.NOTE_PREFERRED, bytes([yes])) for yes in (1, 0))


def test_only_discovery_to_nobody_is_answered_and_three_times_at_once() -> None:
    board = Board()
    ann, to_ann = board.join("ann")
    board.say(ann, send(key_of("ghost"), b"data") * 8)
    board.turn()
    assert to_ann.of(FrameType.PEER_GONE) == []
    board.say(ann, send(key_of("ghost"), disco()) * 8)
    board.turn()
    assert to_ann.of(FrameType.PEER_GONE) == [key_of("ghost") + b"\x01"] * 3
    board.now += 2.5
    for name in ("spectre", "shade", "wraith"):
        board.say(ann, send(key_of(name), disco()))
    board.turn()
    assert to_ann.of(FrameType.PEER_GONE)[3:] == [key_of(name) + b"\x01" for name in ("spectre", "shade")]
    assert board.dropped("unknown_dest") == 8 + 8 + 3
    assert board.switch.counters.peer_gone_not_here_frames == 5


def test_receivers_hear_that_a_sender_left_and_senders_do_not() -> None:
    board = Board()
    ann, to_ann = board.join("ann")
    bob, to_bob = board.join("bob")
    _, to_cleo = board.join("cleo")
    board.say(ann, send(key_of("bob"), b"hi") * 5)
    board.turn()
    board.leave(ann)
    board.leave(ann)
    board.turn()
    assert to_bob.of(FrameType.PEER_GONE) == [key_of("ann") + b"\x00"]
    assert to_cleo.frames == []
    board.leave(bob)
    board.turn()
    assert to_ann.of(FrameType.PEER_GONE) == []


def test_who_left_is_told_nothing_more_and_a_new_sender_counts_again() -> None:
    board = Board()
    bob, to_bob = board.join("bob")
    for _ in range(2):
        ann, _ = board.join("ann")
        board.say(ann, send(key_of("bob"), b"hi"))
        board.leave(ann)
        board.turn()
    assert to_bob.of(FrameType.PEER_GONE) == [key_of("ann") + b"\x00"] * 2
    ann, _ = board.join("ann")
    board.say(ann, send(key_of("bob"), b"hi"))
    board.leave(bob)
    board.leave(ann)
    assert len(to_bob.of(FrameType.PEER_GONE)) == 2
    assert board.switch.active == {}
    assert board.switch.connections == 0


def test_talking_to_oneself_leaves_nothing_behind() -> None:
    board = Board()
    ann, _ = board.join("ann")
    board.say(ann, send(key_of("ann"), b"me"))
    board.leave(ann)
    assert (board.switch.active, board.switch._watchers) == ({}, {})


def test_a_blocked_receiver_keeps_the_newest_of_each_kind() -> None:
    board = Board()
    ann, _ = board.join("ann")
    bob, to_bob = board.join("bob")
    bob.is_blocked = True
    for number in range(100):
        board.say(ann, send(key_of("bob"), b"data %d" % number))
        if number % 2:
            board.say(ann, send(key_of("bob"), disco(b"%d" % number)))
    board.turn()
    assert to_bob.frames == []
    assert bob.outbox.packets == 2 * DEPTH
    assert board.dropped("queue_head") == 100 - DEPTH + 50 - DEPTH
    bob.is_blocked = False
    to_bob.flush()
    arrived = [packet for _, packet in to_bob.packets()]
    assert arrived[:DEPTH] == [disco(b"%d" % n) for n in range(100 - 2 * DEPTH + 1, 100, 2)]
    assert arrived[DEPTH:] == [b"data %d" % n for n in range(100 - DEPTH, 100)]


def test_a_run_longer_than_the_queue_loses_its_own_head() -> None:
    board = Board()
    ann, _ = board.join("ann")
    bob, to_bob = board.join("bob")
    bob.is_blocked = True
    board.say(ann, b"".join(send(key_of("bob"), b"%d" % n) for n in range(80)))
    bob.is_blocked = False
    to_bob.flush()
    assert [packet for _, packet in to_bob.packets()] == [b"%d" % n for n in range(80 - DEPTH, 80)]


def test_a_receiver_that_takes_everything_loses_nothing_in_one_turn() -> None:
    board = Board()
    ann, _ = board.join("ann")
    _, to_bob = board.join("bob")
    for _ in range(10):
        board.say(ann, send(key_of("bob"), bytes(1300)) * 40)
    board.turn()
    assert len(to_bob.packets()) == 400
    assert board.dropped("queue_head") == 0


def test_what_waits_for_the_end_of_the_turn_is_bounded() -> None:
    board = Board()
    bob, _ = board.join("bob")
    senders = [board.join(f"sender {n}")[0] for n in range(20)]
    most = 0
    for sender in senders:
        board.say(sender, send(key_of("bob"), bytes(1300)) * 40)
        most = max(most, bob.outbox.data.size)
    assert most < 2 * FLUSH_AT


def test_a_frozen_receiver_disturbs_nobody_and_costs_little() -> None:
    board = Board()
    ann, _ = board.join("ann")
    frozen, _ = board.join("frozen")
    _, to_cleo = board.join("cleo")
    frozen.is_blocked = True
    for _ in range(200):
        board.say(ann, send(key_of("frozen"), bytes(65_536)) + send(key_of("cleo"), b"fine"))
        board.turn()
    assert len(to_cleo.packets()) == 200
    assert frozen.outbox.data.size <= DEPTH * (65_536 + 37)


def test_what_waited_for_somebody_who_left_is_counted() -> None:
    board = Board()
    ann, _ = board.join("ann")
    bob, _ = board.join("bob")
    bob.is_blocked = True
    board.say(ann, send(key_of("bob"), b"12345") * 3)
    board.leave(bob)
    assert board.dropped("gone_disconnected") == 3
    assert board.switch.counters.dropped["gone_disconnected", "other"].bytes == 15


def test_homes_are_counted_and_moves_only_after_settling() -> None:
    board = Board()
    ann, _ = board.join("ann")
    board.say(ann, PREFER + PREFER)
    counters = board.switch.counters
    assert (board.switch.homes, counters.home_moves_in) == (1, 0)
    board.now += SETTLE + 1
    board.say(ann, NOT_PREFER)
    assert (board.switch.homes, counters.home_moves_out) == (0, 1)
    board.say(ann, PREFER)
    assert counters.home_moves_in == 1
    board.leave(ann)
    assert board.switch.homes == 0


@pytest.mark.parametrize("times", [1, 3])
def test_a_key_can_flap_without_a_trace(times: int) -> None:
    board = Board()
    board.join("bob")
    for _ in range(100 * times):
        ann, _ = board.join("ann")
        board.say(ann, PREFER + send(key_of("bob"), b"x") + send(key_of("ghost"), disco()))
        board.leave(ann)
        board.turn()
    assert set(board.switch.active) == {key_of("bob")}
    assert (board.switch._watchers, board.switch.homes, board.switch.connections) == ({}, 0, 1)
