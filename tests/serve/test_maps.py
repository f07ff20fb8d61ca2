"""The map endpoint in memory: what is noted before what, and how often a whole map may be asked for."""

from __future__ import annotations

from tests.serve.plant import MemoryPlant


def test_what_a_poll_reports_is_known_before_its_node_counts_as_online() -> None:
    plant = MemoryPlant()
    watcher, node = plant.listening(1), plant.client(2)
    plant.run(1)
    watcher.messages()
    seen: list[tuple[bool, int]] = []
    t = plant.core.tailnet
    t.on_change(lambda: seen.append((t.is_online(2), t.report(2).capver)))
    node.listen()
    assert seen and all(capver == 142 for is_online, capver in seen if is_online)


def test_maps_are_not_given_away_by_the_hundred() -> None:
    plant = MemoryPlant()
    node = plant.client(1)
    statuses = []
    for _ in range(30):
        node.post("/machine/map", node.request())
        statuses.append(node.status)
    assert statuses == [200] * 20 + [429] * 10
    plant.run(61)
    node.post("/machine/map", node.request())
    assert node.status == 200


def test_a_report_is_answered_at_once_and_empty() -> None:
    plant = MemoryPlant()
    node = plant.client(1)
    stream = node.post("/machine/map", node.request(OmitPeers=True))
    assert node.status == 200 and not node.bodies.get(stream)


def test_read_only_changes_nothing_and_takes_no_place() -> None:
    plant = MemoryPlant()
    node = plant.listening(1)
    before = plant.core.tailnet.report(1)
    node.post("/machine/map", node.request(Stream=True, ReadOnly=True, Endpoints=["203.0.113.5:1"]))
    assert node.status == 200
    assert plant.core.tailnet.report(1) == before
    assert not node.ended and len(plant.sessions) == 1
