"""Work in turns: order kept, the loop served in between, a failure costs nobody else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from meshbox.serve import turns
from meshbox.serve.turns import Turns


class Loop(list[Callable[[], None]]):
    def turn(self) -> None:
        for work in [self.pop(0) for _ in range(len(self))]:
            work()


def test_work_is_done_in_order_and_yields_to_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, done, ticks = Loop(), [], iter(range(1000))
    # Every look at the clock costs 2 ms: three pieces of work fit a portion.
    monkeypatch.setattr(turns, "perf_counter", lambda: next(ticks) * 0.002)
    queue = Turns(loop.append)
    for number in range(7):
        queue.add(lambda number=number: done.append(number))  # type: ignore[misc]
    assert len(loop) == 1
    loop.turn()
    assert done == [0, 1, 2] and len(queue) == 4
    loop.turn()
    loop.turn()
    assert done == list(range(7))
    assert not loop


def test_known_nodes_come_first_and_lines_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, done, ticks = Loop(), [], iter(range(1000))
    monkeypatch.setattr(turns, "perf_counter", lambda: next(ticks) * 0.002)
    queue = Turns(loop.append)
    for name in ("a1", "a2", "a3", "b1", "n1", "n2", "n3", "m1"):
        is_stranger = name[0] in "ab"
        queue.add(lambda name=name: done.append(name), name[0], is_stranger)  # type: ignore[misc]
    assert len(loop) == 1 and len(queue) == 8
    loop.turn()
    assert done == ["n1", "m1", "n2", "a1"], "one stranger at least, however busy the known ones are"
    queue.add(lambda: done.append("n4"), "n")
    loop.turn()
    loop.turn()
    assert done[4:] == ["n3", "n4", "b1", "a2", "a3"] and len(queue) == 0


def test_work_added_by_work_waits_its_turn() -> None:
    loop, done = Loop(), []
    queue = Turns(loop.append)
    queue.add(lambda: queue.add(lambda: done.append("second")))
    queue.add(lambda: done.append("first"))
    while loop:
        loop.turn()
    assert done == ["first", "second"]


def test_work_that_fails_does_not_stop_the_rest() -> None:
    loop, done = Loop(), []
    queue = Turns(loop.append)
    queue.add(lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    queue.add(lambda: done.append(1))
    with pytest.raises(ZeroDivisionError):
        loop.turn()
    loop.turn()
    assert done == [1]
