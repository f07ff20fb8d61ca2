from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from meshbox.relay.counters import Counters
from meshbox.wire.derp import FrameType
from tests.relay.board import Board, disco, key_of, send


def test_drops_are_kept_apart_by_reason_and_kind() -> None:
    counters = Counters()
    counters.drop("queue_head", True, 2, 200)
    counters.drop("queue_head", False, 3, 300)
    counters.drop("queue_head", False, 1, 1)
    assert (
        counters.dropped["queue_head", "disco"].packets,
        counters.dropped["queue_head", "disco"].bytes,
    ) == (
        2,
        200,
    )
    assert counters.dropped["queue_head", "other"].packets == 4
    assert counters.packets_dropped == 6


names = st.sampled_from(["ann", "bob", "cleo", "nobody"])
steps = st.lists(st.tuples(names, names, st.integers(1, 40), st.booleans(), st.booleans()), max_size=25)


@given(steps)
def test_every_packet_received_was_sent_or_dropped_or_waits(
    moves: list[tuple[str, str, int, bool, bool]],
) -> None:
    board = Board()
    here = {name: board.join(name) for name in ("ann", "bob", "cleo")}
    for source, to, count, is_disco, flips in moves:
        if source == "nobody":
            board.turn()
            continue
        client, socket = here[source]
        packet = disco() if is_disco else b"data"
        board.say(client, send(key_of(to), packet) * count)
        if flips:
            client.is_blocked = not client.is_blocked
            socket.flush()
    counters = board.switch.counters
    waiting = sum(client.outbox.packets for client, _ in here.values())
    assert counters.packets_received == counters.packets_sent + counters.packets_dropped + waiting
    for client, _ in here.values():
        board.leave(client)
    assert counters.packets_received == counters.packets_sent + counters.packets_dropped
    delivered = sum(len(socket.of(FrameType.RECV_PACKET)) for _, socket in here.values())
    assert counters.packets_sent == delivered


def test_the_time_in_the_queue_is_a_moving_average() -> None:
    board = Board()
    ann, _ = board.join("ann")
    bob, socket = board.join("bob")
    for _ in range(100):
        bob.is_blocked = True
        board.say(ann, send(bob.key, b"x"))
        board.now += 0.5
        bob.is_blocked, socket.now = False, board.now
        socket.flush()
    assert 0.49 < board.switch.counters.queued_seconds <= 0.5


def test_bytes_are_counted_per_client() -> None:
    board = Board()
    ann, _ = board.join("ann")
    bob, _ = board.join("bob")
    board.say(ann, send(bob.key, bytes(100)) * 3)
    board.turn()
    assert (ann.bytes_in, ann.bytes_out, bob.bytes_in, bob.bytes_out) == (300, 0, 0, 300)
