from __future__ import annotations

from meshbox.tailnet import devices, enrol
from meshbox.tailnet.clockwork import advance
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, node_key, register_request
from tests.tailnet.memory import MemoryStore, PaperClient


def test_expiry_is_told_at_the_moment_it_happens() -> None:
    t = make_tailnet()
    mapper = Mapper(t)
    key = make_key(t, reusable=True)
    viewer, peer = join(t, 1, key), join(t, 2, key)
    devices.expire(t, peer.id, NOW + 60, "test", NOW)
    watcher, expiring = PaperClient(), PaperClient()
    polls = [(Poll(mapper, viewer, "zstd"), watcher), (Poll(mapper, peer, "zstd"), expiring)]
    for poll, client in polls:
        client.feed(poll.first(NOW))
    assert advance(t, NOW + 59) == NOW + 60
    assert "Expired" not in watcher.peers[peer.id]
    advance(t, NOW + 60)
    for poll, client in polls:
        client.feed(poll.next(NOW + 60))
    assert watcher.peers[peer.id]["Expired"] is True
    assert not t.admits(node_key(2), NOW + 60)
    # Expired is logged out: it sees nobody until it logs in again.
    assert expiring.peers == {} and expiring.self_node["Expired"] is True


def test_going_offline_is_told_with_last_seen() -> None:
    t = make_tailnet()
    mapper = Mapper(t)
    key = make_key(t, reusable=True)
    viewer, peer = join(t, 1, key), join(t, 2, key)
    token = t.presence.enter(peer.id)
    client, poll = PaperClient(), Poll(mapper, viewer, "zstd")
    client.feed(poll.first(NOW))
    assert client.peers[peer.id]["Online"] is True and "LastSeen" not in client.peers[peer.id]
    t.presence.leave(token, NOW + 10, t.settings.offline_grace)
    assert poll.next(NOW + 10) == []
    advance(t, NOW + 11)
    client.feed(poll.next(NOW + 11))
    assert client.peers[peer.id]["Online"] is False and client.peers[peer.id]["LastSeen"]


def test_ephemeral_nodes_of_a_former_life_are_cleaned_up() -> None:
    store = MemoryStore()
    former = make_tailnet(store)
    join(former, 1, make_key(former, ephemeral=True))
    t = make_tailnet(store, ephemeral_timeout=60.0)
    advance(t, NOW + 59)
    assert len(t.nodes) == 1
    advance(t, NOW + 60)
    assert not t.nodes


def test_a_clock_step_deletes_no_ephemeral_node() -> None:
    t = make_tailnet(ephemeral_timeout=60.0)
    join(t, 1, make_key(t, ephemeral=True))
    enrol.register(t, machine(2), register_request(2), "192.0.2.1", NOW)
    t.deadlines.shift(86_400.0)
    advance(t, NOW + 86_400.0)
    assert len(t.nodes) == 1 and len(t.pending) == 1
