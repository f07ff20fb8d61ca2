from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.errors import Conflict, Invalid, NotFound, StoreFull
from meshbox.tailnet import devices
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet, node_key
from tests.tailnet.memory import MemoryStore, PaperClient


@pytest.fixture
def t() -> Tailnet:
    return make_tailnet()


def test_a_rename_is_checked_and_kept(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    first, second = join(t, 1, key), join(t, 2, key)
    assert (first.name, second.name) == ("lab", "lab-1")
    assert devices.rename(t, first.id, "NAS", "test", NOW).name == "nas"
    for bad in ("", "a b", "-x", "x" * 64, "ü", "a.b"):
        with pytest.raises(Invalid):
            devices.rename(t, first.id, bad, "test", NOW)
    with pytest.raises(Conflict):
        devices.rename(t, second.id, "nas", "test", NOW)
    with pytest.raises(NotFound):
        devices.rename(t, 99, "x", "test", NOW)
    assert t.nodes[second.id] == second


def test_expiring_now_cuts_the_relay_and_never_lets_it_back(t: Tailnet) -> None:
    node = join(t, 1, make_key(t))
    devices.expire(t, node.id, NOW, "test", NOW)
    assert not t.admits(node_key(1), NOW)
    devices.never_expire(t, node.id, "test", NOW)
    assert t.admits(node_key(1), NOW)


def test_tagging_takes_the_owner_and_the_expiry(t: Tailnet) -> None:
    node = join(t, 1, make_key(t))
    tagged = devices.set_tags(t, node.id, ["tag:b", "tag:a", "tag:a"], "test", NOW)
    assert (tagged.tags, tagged.user_id) == (("tag:a", "tag:b"), None)
    with pytest.raises(Invalid):
        devices.set_tags(t, node.id, [], "test", NOW)
    with pytest.raises(Invalid):
        devices.set_tags(t, node.id, ["tag:Bad"], "test", NOW)
    back = devices.set_owner(t, node.id, t.by_user_name["ana"], "test", NOW)
    assert (back.tags, back.user_id) == ((), t.by_user_name["ana"])


def test_a_deleted_node_frees_its_name_and_never_its_id(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    devices.delete(t, node.id, "test", NOW)
    again = join(t, 2, key)
    assert again.name == "lab" and again.id > node.id


def test_an_address_is_chosen_taken_and_the_old_one_given_back(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    first, second = join(t, 1, key), join(t, 2, key)
    moved = devices.set_address(t, first.id, " 100.64.0.99 ", "test", NOW)
    assert (str(moved.ipv4), moved.ipv6) == ("100.64.0.99", first.ipv6)
    assert devices.set_address(t, first.id, "100.64.0.99", "test", NOW) == moved
    six = devices.set_address(t, first.id, "fd7a:115c:a1e0::99", "test", NOW)
    assert (str(six.ipv6), six.ipv4) == ("fd7a:115c:a1e0::99", moved.ipv4)
    devices.set_address(t, second.id, str(first.ipv4), "test", NOW)
    for bad in ("100.64.0.99", "10.0.0.1", "100.100.100.100", "100.64.0.0"):
        with pytest.raises(Conflict, match=bad):
            devices.set_address(t, second.id, bad, "test", NOW)
    for worse in ("", "laptop", "100.64.0.1/32"):
        with pytest.raises(Invalid, match="is not an IP address"):
            devices.set_address(t, second.id, worse, "test", NOW)


def test_an_address_that_could_not_be_written_stays_free() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    node = join(t, 1, make_key(t))
    store.fail_with = StoreFull("full")
    with pytest.raises(StoreFull):
        devices.set_address(t, node.id, "100.64.0.99", "test", NOW)
    store.fail_with = None
    assert t.nodes[node.id] == node
    assert str(devices.set_address(t, node.id, "100.64.0.99", "test", NOW).ipv4) == "100.64.0.99"


def test_renewing_brings_an_expired_node_back(t: Tailnet) -> None:
    t.configure(replace(t.settings, node_expiry=600.0))
    node = join(t, 1, make_key(t))
    assert node.expires_at == NOW + 600
    devices.expire(t, node.id, NOW, "test", NOW)
    assert not t.admits(node.node_key, NOW)
    assert devices.renew(t, node.id, None, "test", NOW + 5).expires_at == NOW + 605
    assert t.admits(node.node_key, NOW + 5) and node.id not in t.expired
    assert devices.renew(t, node.id, 60.0, "test", NOW).expires_at == NOW + 60
    t.configure(replace(t.settings, node_expiry=0.0))
    assert devices.renew(t, node.id, None, "test", NOW).expires_at is None


def test_a_tagged_node_given_to_a_user_expires_like_a_login(t: Tailnet) -> None:
    t.configure(replace(t.settings, node_expiry=600.0))
    node = join(t, 1, make_key(t, tags=("tag:a",)))
    assert node.expires_at is None
    moved = devices.set_owner(t, node.id, t.by_user_name["ana"], "test", NOW)
    assert (moved.expires_at, moved.tags) == (NOW + 600, ())
    assert devices.set_tags(t, node.id, ["tag:b"], "test", NOW).expires_at is None


def test_who_waits_sees_nobody_and_is_seen_by_nobody_until_approved(t: Tailnet) -> None:
    inside = join(t, 1, make_key(t))
    t.configure(replace(t.settings, needs_approval=True))
    waiting = join(t, 2, make_key(t))
    trusted = join(t, 3, make_key(t, preapproved=True))
    assert [node.is_approved for node in (inside, waiting, trusted)] == [True, False, True]
    mapper = Mapper(t)
    clients = {node.id: (PaperClient(), Poll(mapper, node, "zstd")) for node in (inside, waiting)}
    for client, poll in clients.values():
        client.feed(poll.first(NOW))
    (seen, of_inside), (blind, of_waiting) = clients.values()
    assert set(seen.peers) == {trusted.id} and blind.peers == {}
    assert blind.self_node["MachineAuthorized"] is False
    assert not t.admits(waiting.node_key, NOW)
    devices.approve(t, waiting.id, "test", NOW)
    seen.feed(of_inside.next(NOW))
    blind.feed(of_waiting.next(NOW))
    assert waiting.id in seen.peers and set(blind.peers) == {inside.id, trusted.id}
    assert blind.self_node["MachineAuthorized"] is True and t.admits(waiting.node_key, NOW)
    again = join(t, 2, make_key(t))
    assert again.is_approved, "a new login of an approved device needs no new approval"
