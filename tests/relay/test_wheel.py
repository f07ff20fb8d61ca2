from __future__ import annotations

from meshbox.relay.wheel import Wheel


def test_items_come_when_they_are_due_and_once() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.add("late", 1_000_062.7)
    wheel.add("early", 1_000_060.2)
    assert wheel.turn(1_000_059.9) == []
    assert wheel.turn(1_000_060.2) == ["early"]
    assert wheel.turn(1_000_100.0) == ["late"]
    assert wheel.turn(1_000_200.0) == []
    assert len(wheel) == 0


def test_an_item_that_leaves_leaves_nothing_behind() -> None:
    wheel: Wheel[int] = Wheel()
    for item in range(100):
        wheel.add(item, 60)
        wheel.remove(item)
    wheel.remove(7)
    assert len(wheel) == 0
    assert wheel.turn(61) == []


def test_adding_again_moves_the_item() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.add("x", 10)
    wheel.add("x", 20)
    assert wheel.turn(15) == []
    assert wheel.turn(20) == ["x"]


def test_a_turn_that_comes_late_gives_the_longest_overdue_first() -> None:
    wheel: Wheel[str] = Wheel()
    wheel.add("b", 20)
    wheel.add("a", 10)
    assert wheel.turn(99) == ["a", "b"]
