"""The fan-out in fake time: changes are joined, rounds rest, nobody is forgotten."""

from __future__ import annotations

from itertools import count, pairwise

import pytest

from meshbox.serve import fanout
from meshbox.serve.turns import Turns
from tests.serve.plant import MemoryPlant


def test_changes_within_a_moment_are_told_together() -> None:
    plant = MemoryPlant()
    watcher, talkers = plant.listening(1), [plant.client(number) for number in range(2, 6)]
    for talker in talkers:
        talker.report(3999)
    plant.run(1)
    watcher.messages()
    for talker in talkers:
        talker.report(4000)
    plant.run(fanout.SHORTEST_DELAY - 0.001)
    assert watcher.messages() == []
    plant.run(0.002)
    assert len(watcher.messages()) == 1


def test_a_change_during_a_round_is_told_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fanout, "SLICE", 1)
    plant = MemoryPlant()
    watchers = [plant.listening(number) for number in range(1, 5)]
    plant.run(2)
    for watcher in watchers:
        watcher.messages()
    heard: list[int] = []
    tell = plant.sessions.tell

    def tell_and_change(session: object, now: float) -> bool:
        heard.append(session.node_id)  # type: ignore[attr-defined]
        if len(heard) == 2:
            watchers[3].report(5001)
        return tell(session, now)  # type: ignore[arg-type]

    monkeypatch.setattr(plant.sessions, "tell", tell_and_change)
    watchers[3].report(5000)
    plant.run(2)
    for watcher in watchers[:3]:
        assert "203.0.113.5:5001" in str(watcher.messages())


def test_a_slice_ends_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = MemoryPlant()
    watchers = [plant.listening(number) for number in range(1, 5)]
    plant.run(5)
    for watcher in watchers:
        watcher.messages()
    told: list[str] = []
    seconds = count()
    monkeypatch.setattr(fanout, "perf_counter", lambda: float(next(seconds)))
    tell = plant.sessions.tell
    monkeypatch.setattr(plant.sessions, "tell", lambda session, now: told.append("one") or tell(session, now))
    soon = plant.core.soon
    monkeypatch.setattr(plant.core, "soon", lambda work: told.append("look at sockets") or soon(work))
    watchers[0].report(2000)
    plant.run(fanout.SHORTEST_DELAY + 0.01)
    assert told[:4] == ["one", "look at sockets", "one", "look at sockets"]
    for watcher in watchers[1:]:
        assert ":2000" in str(watcher.messages())


def test_rounds_use_a_quarter_of_a_core_and_a_lone_change_is_told_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant = MemoryPlant()
    watcher, talker = plant.listening(1), plant.listening(2)
    plant.run(5)
    watcher.messages()
    spent = iter(range(1000))
    # Each round is made to cost 100 ms of processor time.
    monkeypatch.setattr(fanout, "thread_time", lambda: next(spent) * 0.1)
    began = plant.clock.now
    times = []
    for port in range(2000, 2100):
        talker.report(port)
        plant.run(0.02)
        if watcher.messages():
            times.append(plant.clock.now - began)
    assert times[0] <= fanout.SHORTEST_DELAY + 0.03
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert gaps and all(0.25 <= gap <= 0.45 for gap in gaps)
    plant.run(5)
    watcher.messages()
    talker.report(3000)
    plant.run(fanout.SHORTEST_DELAY + 0.01)
    assert watcher.messages(), "after a quiet time nobody waits for a rest that is long over"


def test_news_wait_for_those_in_line_but_not_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    plant = MemoryPlant()
    watcher, talker = plant.listening(1), plant.listening(2)
    plant.run(5)
    watcher.messages()
    monkeypatch.setattr(Turns, "__len__", lambda self: 1)
    talker.report(2000)
    plant.run(fanout.PATIENCE - fanout.SHORTEST_DELAY)
    assert watcher.messages() == []
    talker.report(2001)
    plant.run(2 * fanout.SHORTEST_DELAY)
    assert ":2001" in str(watcher.messages()), "the first change counts, not the last"
    talker.report(2002)
    plant.run(2 * fanout.SHORTEST_DELAY)
    assert watcher.messages() == []
    monkeypatch.undo()
    plant.run(fanout.SHORTEST_DELAY)
    assert ":2002" in str(watcher.messages())


def test_the_time_from_change_to_told_is_measured() -> None:
    plant = MemoryPlant()
    plant.listening(1)
    plant.run(1)
    text = plant.core.metrics.render(())
    assert "meshbox_map_seconds_count" in text
