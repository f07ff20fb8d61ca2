"""The one timer in fake time: deadlines, beats, flushes, and clocks that step."""

from __future__ import annotations

import pytest

from meshbox.errors import StoreFull
from meshbox.serve import pulse
from tests.serve.plant import MemoryPlant
from tests.tailnet.build import make_key


def test_a_node_that_left_is_offline_after_its_grace_not_later() -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    one.transport.abort()
    grace = plant.core.tailnet.settings.offline_grace
    plant.run(grace - 0.01)
    assert plant.core.tailnet.is_online(1)
    plant.run(0.05)
    assert not plant.core.tailnet.is_online(1)


@pytest.mark.parametrize("step", [86_400.0, -86_400.0])
def test_a_clock_that_steps_a_day_sends_nobody_away_and_keeps_deadlines(step: float) -> None:
    plant = MemoryPlant()
    one, two = plant.listening(1), plant.listening(2)
    plant.run(5)
    plant.clock.wall_offset += step
    plant.run(5)
    t = plant.core.tailnet
    assert (
        t.is_online(1)
        and t.is_online(2)
        and not any(n.is_expired(plant.clock.wall()) for n in t.nodes.values())
    )
    two.transport.abort()
    plant.run(3)
    assert t.is_online(1) and not t.is_online(2)
    one.messages()
    two = plant.client(3)
    two.listen()
    plant.run(1)
    assert one.messages(), "sessions go on"


def test_a_grace_that_was_running_when_the_clock_stepped_still_ends() -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    plant.run(5)
    one.transport.abort()
    plant.clock.wall_offset -= 3600
    plant.run(5)
    assert not plant.core.tailnet.is_online(1)


def test_an_ephemeral_node_is_gone_after_its_time_and_its_peers_are_told() -> None:
    plant = MemoryPlant()
    watcher = plant.listening(1)
    plant.key = make_key(plant.core.tailnet, reusable=True, ephemeral=True)
    guest = plant.listening(2)
    plant.run(1)
    guest.transport.abort()
    for _ in range(int(plant.core.tailnet.settings.ephemeral_timeout / 10) - 1):
        plant.run(10)
        watcher.messages()
    assert 2 in plant.core.tailnet.nodes
    plant.run(20)
    assert 2 not in plant.core.tailnet.nodes
    assert any(2 in message.get("PeersRemoved", ()) for message in watcher.messages())


def test_reports_are_written_every_few_seconds_and_kept_when_they_cannot_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    store, written = plant.core.tailnet.store, []
    is_full = True

    def flush(reports: object) -> None:
        if is_full:
            raise StoreFull("the disk is full")
        written.append(dict(reports))  # type: ignore[call-overload]

    monkeypatch.setattr(store, "flush", flush)
    one.report(4000)
    plant.run(pulse.FLUSH_EVERY + 1)
    assert not written
    is_full = False
    plant.run(pulse.FLUSH_EVERY + 1)
    assert written and written[0][1].endpoints == ("203.0.113.5:4000",)


def test_what_cannot_be_written_is_tried_again_and_holds_up_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plant = MemoryPlant()
    t = plant.core.tailnet
    other = plant.listening(1)
    plant.key = make_key(t, reusable=True, ephemeral=True)
    guest = plant.listening(2)
    guest.transport.abort()
    plant.run(5)

    def refuse(*_: object) -> None:
        raise StoreFull("the disk is full")

    with monkeypatch.context() as full:
        full.setattr(t.store, "commit", refuse)
        plant.run(t.settings.ephemeral_timeout)
        assert 2 in t.nodes
        other.transport.abort()
        plant.run(3)
        assert not t.is_online(1)
    plant.run(15)
    assert 2 not in t.nodes


def test_lateness_of_the_loop_is_measured() -> None:
    plant = MemoryPlant()
    plant.run(2)
    assert plant.plant.pulse.lag == 0.0
    plant.clock.now += 3.0
    plant.run(0)
    assert plant.plant.pulse.lag == pytest.approx(3.0, abs=1.0)


def test_a_stopped_pulse_does_nothing_more() -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    plant.plant.pulse.stop()
    one.transport.abort()
    plant.run(100)
    assert plant.core.tailnet.is_online(1)
