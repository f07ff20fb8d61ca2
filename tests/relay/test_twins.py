from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.relay.client import Client
from meshbox.relay.twins import CLONE_WARNING, FLIP_WINDOW, FLIPS, TWINS_LIMIT
from meshbox.wire.derp import FrameType, encode
from tests.relay.board import Board, Socket, key_of, send

PING = encode(FrameType.PING, bytes(8))

TABLE = [
    ("1", "1"),
    ("1 2", "2"),
    ("1 2 -1", "2"),
    ("1 2 -2", "1"),
    ("1 2 1!", "1"),
    ("1 2 1! 2!", "2"),
    ("1 2 1! -1", "2"),
    ("1 2 3", "3"),
    ("1 2 3 1!", "1"),
    ("1 2 3 1! -1", "3"),
    ("1 2 3 -3", "2"),
    ("1 2 3 1! 2! -2", "1"),
    ("1 2 3 -1 -2", "3"),
    ("1 2 3 1! -3 -2", "1"),
    ("1 2 -1 -2", ""),
]
"""What happens to connections of one key (n joins, n! speaks, -n leaves) and who gets the packets then."""


@pytest.mark.parametrize(("story", "active"), TABLE)
def test_packets_go_to_the_connection_that_spoke_last(story: str, active: str) -> None:
    board = Board()
    ann, _ = board.join("ann")
    members: dict[str, tuple[Client, Socket]] = {}
    for step in story.split():
        name = step.strip("-!")
        if step.startswith("-"):
            board.leave(members.pop(name)[0])
        elif step.endswith("!"):
            board.say(members[name][0], PING)
        else:
            members[name] = board.join("twin")
    board.say(ann, send(key_of("twin"), b"who?"))
    board.turn()
    assert [name for name, (_, socket) in members.items() if socket.packets()] == ([active] if active else [])
    assert all(bool(client.twins) is (len(members) > 1) for client, _ in members.values())
    assert len(board.switch.twins) == (len(members) > 1)
    assert all(not socket.closed for _, socket in members.values())


@given(st.lists(st.tuples(st.sampled_from(["join", "speak", "leave"]), st.integers(0, 4)), max_size=40))
def test_a_key_with_a_connection_is_never_deaf(story: list[tuple[str, int]]) -> None:
    board = Board()
    here: dict[int, Client] = {}
    for act, number in story:
        if act == "join" and number not in here:
            here[number] = board.join("twin")[0]
        elif act == "speak" and number in here:
            board.say(here[number], PING)
        elif act == "leave" and number in here:
            board.leave(here.pop(number))
        assert board.switch.connections == len(here)
        assert set(board.switch.connections_of(key_of("twin"))) == set(here.values())
        assert (board.switch.active.get(key_of("twin")) in here.values()) is bool(here)


def test_peers_hear_of_the_last_connection_only() -> None:
    board = Board()
    _, to_bob = board.join("bob")
    older, _ = board.join("twin")
    board.say(older, send(key_of("bob"), b"hi"))
    newer, _ = board.join("twin")
    board.leave(older)
    board.turn()
    assert to_bob.of(FrameType.PEER_GONE) == []
    board.leave(newer)
    board.turn()
    assert to_bob.of(FrameType.PEER_GONE) == [key_of("twin") + b"\x00"]


def test_a_phone_that_roams_is_not_called_a_clone() -> None:
    board = Board()
    clients = [board.join("phone") for _ in range(5)]
    for client, _ in clients:
        board.say(client, PING)
    board.turn()
    assert board.switch.counters.clone_warnings == 0
    assert all(socket.of(FrameType.HEALTH) == [] for _, socket in clients)


def fight(board: Board, members: list[tuple[Client, Socket]], pause: float) -> None:
    for turn in range(FLIPS + 2):
        board.now += pause
        board.say(members[turn % 2][0], PING)
    board.turn()


def test_clones_are_told_once_and_told_when_it_is_over() -> None:
    board = Board()
    members = [board.join("clone"), board.join("clone")]
    fight(board, members, pause=0.5)
    fight(board, members, pause=0.5)
    assert [socket.of(FrameType.HEALTH) for _, socket in members] == [[CLONE_WARNING.encode()]] * 2
    assert board.switch.counters.clone_warnings == 1
    board.leave(members[0][0])
    board.turn()
    assert members[1][1].of(FrameType.HEALTH) == [CLONE_WARNING.encode(), b""]


def test_a_slow_alternation_is_no_fight() -> None:
    board = Board()
    members = [board.join("twin"), board.join("twin")]
    fight(board, members, pause=FLIP_WINDOW)
    assert board.switch.counters.clone_warnings == 0


def test_one_key_cannot_hold_any_number_of_connections() -> None:
    board = Board()
    members = [board.join("twin") for _ in range(TWINS_LIMIT + 1)]
    assert [bool(socket.closed) for _, socket in members] == [True] + [False] * TWINS_LIMIT
    assert board.switch.counters.total_dup_client_conns == TWINS_LIMIT
