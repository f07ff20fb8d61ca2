"""Map sessions in fake time: keep-alives, stalls, brakes, large first maps, one session for a node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.config import Config, Limits
from meshbox.serve import sessions
from tests.serve.plant import MemoryClient, MemoryPlant


def kinds(client: MemoryClient) -> list[str]:
    names = {"KeepAlive": "keepalive", "Node": "full"}
    return [next((names[key] for key in names if key in message), "delta") for message in client.messages()]


def test_the_first_message_is_the_map_and_news_follow() -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    assert kinds(one) == ["full"]
    two = plant.listening(2)
    plant.run(0.2)
    (news,) = one.messages()
    assert [peer["Name"].split(".")[0] for peer in news["PeersChanged"]] == ["n2"]
    assert kinds(two) == ["full"]


def test_keep_alives_come_between_50_and_60_seconds_apart_for_ever() -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    one.messages()
    last, gaps = plant.clock.now, []
    for _ in range(600):
        plant.run(1)
        if kinds(one):
            gaps.append(plant.clock.now - last)
            last = plant.clock.now
    assert len(gaps) >= 10
    assert all(49 <= gap <= 61 for gap in gaps)
    assert len(set(gaps)) > 1, "sessions that began together must not stay together"


def test_a_client_that_takes_nothing_is_dropped_and_one_that_trickles_is_not() -> None:
    plant = MemoryPlant(Config(server_url="http://ctl", limits=Limits(map_stall_timeout=30.0)))
    talker, dead, slow = plant.listening(1), plant.listening(2), plant.listening(3)
    plant.run(1)
    for client in (dead, slow):
        client.messages()
        client.transport.room = 0
        client.transport.protocol.pause_writing()
    for second in range(40):
        talker.report(2000 + second)
        if second % 10 == 0:
            slow.transport.room = 1 << 20
            slow.transport.protocol.resume_writing()
            slow.messages()
            slow.transport.protocol.pause_writing()
        plant.run(1)
    assert not dead.transport.is_open
    assert slow.transport.is_open
    assert plant.core.metrics.value("meshbox_refused_total", "map_stalled") == 1


def test_a_client_that_never_answers_is_dropped_within_90_seconds() -> None:
    plant = MemoryPlant()
    awake, hangs = plant.listening(1), plant.listening(2)
    for _ in range(300):
        plant.run(1)
        awake.messages()
        if plant.clock.now < 1200:
            hangs.messages()
        elif plant.clock.now > 1290:
            assert not hangs.transport.is_open
    assert awake.transport.is_open
    assert plant.core.metrics.value("meshbox_refused_total", "map_silent") == 1


def test_any_byte_is_a_sign_of_life() -> None:
    """A slow client has not come to the PING behind its map, but sends window updates."""
    plant = MemoryPlant()
    slow = plant.listening(1)
    for _ in range(20):
        plant.run(20)
        slow.h2.increment_flow_control_window(1)
        slow.flush()
    assert slow.transport.is_open


def test_a_blocked_session_holds_one_message_and_then_hears_the_truth() -> None:
    plant = MemoryPlant()
    talker, slow = plant.listening(1), plant.listening(2)
    plant.run(1)
    slow.messages()
    slow.transport.protocol.pause_writing()
    for port in range(2000, 2050):
        talker.report(port)
        plant.run(0.5)
    assert plant.sessions.blocked_count == 1
    slow.transport.protocol.resume_writing()
    plant.run(0.1)
    told = [message for message in slow.messages() if "KeepAlive" not in message]
    assert len(told) == 2
    assert "203.0.113.5:2049" in str(told[-1])


def test_a_node_has_one_session_on_whatever_connection() -> None:
    plant = MemoryPlant()
    old, watcher = plant.listening(1), plant.listening(2)
    plant.run(1)
    new = MemoryClient(plant, 1)
    new.listen()
    watcher.messages()
    plant.run(3)
    old.read()
    assert old.ended and not new.ended
    assert len(plant.sessions) == 2
    assert plant.core.tailnet.is_online(1)
    assert not any(
        patch.get("Online") is False for m in watcher.messages() for patch in m.get("PeersChangedPatch", ())
    )


def test_a_late_end_of_the_old_connection_does_not_touch_the_new_one() -> None:
    plant = MemoryPlant()
    old = plant.listening(1)
    new = MemoryClient(plant, 1)
    new.listen()
    old.transport.abort()
    plant.run(5)
    assert plant.core.tailnet.is_online(1) and len(plant.sessions) == 1
    new.transport.abort()
    plant.run(5)
    assert not plant.core.tailnet.is_online(1) and len(plant.sessions) == 0


def test_two_machines_with_one_key_do_not_chase_each_other_at_full_speed() -> None:
    plant = MemoryPlant()
    clones = [plant.client(1), MemoryClient(plant, 1)]
    for turn in range(60):
        clones[turn % 2].listen()
        plant.run(0.01)
    assert plant.core.metrics.value("meshbox_map_responses_total", "full") == sessions.OPENS_PER_MINUTE
    plant.run(sessions.BRAKE + 1)
    clones[1].read()
    assert kinds(clones[1])[:1] == ["full"], "the newest one is served in the end"


def test_large_first_maps_are_on_the_way_only_so_many_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "LARGE", 100)
    monkeypatch.setattr(sessions, "OPENING_LIMIT", 2)
    plant = MemoryPlant()
    clients = [plant.client(number) for number in range(1, 6)]
    for client in clients:
        client.transport.protocol.pause_writing()
        client.listen()
    plant.run(0.5)

    def begun() -> float:
        return plant.core.metrics.value("meshbox_map_responses_total", "full")

    assert begun() == 2
    clients[0].transport.protocol.resume_writing()
    plant.run(0.5)
    assert kinds(clients[0])[:1] == ["full"] and begun() == 3
    clients[1].transport.abort()
    plant.run(0.5)
    assert begun() == 4
    plant.run(sessions.OPENING_PATIENCE + 2)
    assert begun() == 5, "a slow client does not keep others waiting"


def test_a_deleted_node_is_told_and_its_stream_ends() -> None:
    plant = MemoryPlant()
    one = plant.listening(1)
    one.messages()
    from meshbox.tailnet import devices

    devices.delete(plant.core.tailnet, 1, "test", plant.clock.wall())
    plant.run(0.2)
    (farewell,) = one.messages()
    assert farewell["Node"]["KeyExpiry"] < replace_year(plant)
    assert one.ended and len(plant.sessions) == 0


def replace_year(plant: MemoryPlant) -> str:
    from meshbox.wire.gojson import go_time

    return go_time(plant.clock.wall())


def test_limits_can_change_while_sessions_are_open() -> None:
    plant = MemoryPlant()
    talker, dead = plant.listening(1), plant.listening(2)
    plant.run(1)
    dead.transport.protocol.pause_writing()
    talker.report(2000)
    plant.run(5)
    assert dead.transport.is_open
    plant.core.limits = replace(plant.core.limits, map_stall_timeout=3.0)
    plant.run(2)
    assert not dead.transport.is_open
