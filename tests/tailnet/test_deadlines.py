from __future__ import annotations

from meshbox.tailnet.deadlines import Deadlines, Due


def test_due_in_order_and_once() -> None:
    deadlines = Deadlines()
    deadlines.set(Due.EXPIRY, 1, 30.0)
    deadlines.set(Due.OFFLINE, 2, 10.0)
    assert deadlines.next_at() == 10.0
    assert list(deadlines.take(30.0)) == [(Due.OFFLINE, 2), (Due.EXPIRY, 1)]
    assert list(deadlines.take(99.0)) == []
    assert deadlines.next_at() is None


def test_setting_again_moves_and_cancelling_removes() -> None:
    deadlines = Deadlines()
    deadlines.set(Due.OFFLINE, 1, 10.0)
    deadlines.set(Due.OFFLINE, 1, 20.0)
    deadlines.set(Due.OFFLINE, 2, 5.0)
    deadlines.cancel(Due.OFFLINE, 2)
    assert list(deadlines.take(15.0)) == []
    assert deadlines.next_at() == 20.0
    assert list(deadlines.take(20.0)) == [(Due.OFFLINE, 1)]


def test_what_the_body_sets_waits_its_turn() -> None:
    deadlines = Deadlines()
    deadlines.set(Due.OFFLINE, 1, 1.0)
    seen = 0
    for kind, subject in deadlines.take(100.0):
        seen += 1
        deadlines.set(kind, subject, 2.0)
    assert seen == 1
    assert list(deadlines.take(100.0)) == [(Due.OFFLINE, 1)]


def test_a_clock_step_moves_durations_but_not_dates() -> None:
    deadlines = Deadlines()
    deadlines.set(Due.EPHEMERAL, 1, 1800.0)
    deadlines.set(Due.EXPIRY, 2, 50_000.0)
    deadlines.shift(86_400.0)
    assert list(deadlines.take(86_400.0)) == [(Due.EXPIRY, 2)]
    assert deadlines.next_at() == 88_200.0


def test_a_flapping_node_does_not_grow_the_heap() -> None:
    deadlines = Deadlines()
    for moment in range(10_000):
        deadlines.set(Due.EPHEMERAL, 1, 1e9 + moment)
    assert len(deadlines._heap) < 200
    assert list(deadlines.take(2e9)) == [(Due.EPHEMERAL, 1)]
