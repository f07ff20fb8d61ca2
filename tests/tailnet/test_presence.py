from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.tailnet.deadlines import Deadlines, Due
from meshbox.tailnet.presence import Presence


class Scene:
    def __init__(self) -> None:
        self.deadlines = Deadlines()
        self.told: list[tuple[str, int]] = []
        self.presence = Presence(
            self.deadlines,
            lambda node_id: self.told.append(("came", node_id)),
            lambda node_id, now: self.told.append(("went", node_id)),
        )

    def pass_time(self, now: float) -> None:
        for kind, subject in self.deadlines.take(now):
            assert kind is Due.OFFLINE and isinstance(subject, int)
            self.presence.settle(subject, now)


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_session_makes_online_and_its_end_offline_after_the_grace(scene: Scene) -> None:
    token = scene.presence.enter(5)
    assert scene.presence.is_online(5)
    scene.presence.leave(token, 100.0, grace=1.0)
    scene.pass_time(100.5)
    assert scene.presence.is_online(5)
    scene.pass_time(101.0)
    assert not scene.presence.is_online(5)
    assert scene.told == [("came", 5), ("went", 5)]


def test_a_late_death_of_the_old_session_leaves_the_node_online(scene: Scene) -> None:
    old = scene.presence.enter(5)
    scene.presence.enter(5)
    scene.presence.leave(old, 100.0, grace=1.0)
    scene.pass_time(200.0)
    assert scene.presence.is_online(5)
    assert scene.told == [("came", 5)]


def test_coming_back_within_the_grace_is_never_told_as_offline(scene: Scene) -> None:
    scene.presence.leave(scene.presence.enter(5), 100.0, grace=1.0)
    scene.presence.enter(5)
    scene.pass_time(200.0)
    assert scene.told == [("came", 5), ("came", 5)]


def test_leaving_twice_counts_once(scene: Scene) -> None:
    first, second = scene.presence.enter(5), scene.presence.enter(5)
    scene.presence.leave(first, 1.0, grace=1.0)
    scene.presence.leave(first, 1.0, grace=1.0)
    scene.pass_time(10.0)
    assert scene.presence.is_online(5)
    scene.presence.leave(second, 11.0, grace=1.0)
    scene.pass_time(12.0)
    assert not scene.presence.is_online(5)


def test_a_deleted_node_leaves_nothing_behind(scene: Scene) -> None:
    token = scene.presence.enter(5)
    scene.presence.forget(5)
    scene.presence.leave(token, 1.0, grace=1.0)
    scene.pass_time(10.0)
    assert scene.told == [("came", 5)]
    assert scene.presence.session_count == 0


@given(st.lists(st.tuples(st.sampled_from("ELT"), st.integers(0, 3)), max_size=60))
def test_online_is_a_live_session_or_grace(script: list[tuple[str, int]]) -> None:
    scene = Scene()
    now, live, left_at = 0.0, {node: [] for node in range(4)}, dict.fromkeys(range(4), -99.0)
    for act, node in script:
        if act == "E":
            live[node].append(scene.presence.enter(node))
        elif act == "L" and live[node]:
            scene.presence.leave(live[node].pop(), now, grace=2.0)
            left_at[node] = now
        elif act == "T":
            now += 0.7
            scene.pass_time(now)
        for each in range(4):
            assert scene.presence.is_online(each) == bool(live[each] or now < left_at[each] + 2.0)


def test_silence_ends_with_the_session(scene: Scene) -> None:
    token = scene.presence.enter(5)
    assert scene.presence.is_well(5) and scene.presence.set_silent(5, True)
    assert not scene.presence.is_well(5) and scene.presence.is_online(5)
    scene.presence.enter(5)
    assert not scene.presence.is_well(5), "another session beside the first shows nothing"
    scene.presence.leave(token, 100.0, grace=1.0)
    scene.presence.forget(5)
    scene.presence.enter(5)
    assert scene.presence.is_well(5)
    assert not scene.presence.set_silent(6, True), "who is offline is not silent"
