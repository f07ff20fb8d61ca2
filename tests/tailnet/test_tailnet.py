from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.errors import StoreFull
from meshbox.tailnet import devices, report
from meshbox.tailnet.changes import Common, Dirty
from meshbox.tailnet.settings import DnsSettings
from meshbox.wire.derpmap import DerpMap, DerpNode, Region
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request, node_key, policy
from tests.tailnet.memory import MemoryStore


def test_a_restart_changes_nothing() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    key = make_key(t, reusable=True)
    for number in range(1, 5):
        join(t, number, key)
        report.take(t, machine(number), map_request(number), NOW)
    devices.delete(t, 2, "test", NOW)
    devices.expire(t, 3, NOW - 1, "test", NOW)
    t.flush()
    again = make_tailnet(store)
    for name in (
        "users",
        "nodes",
        "auth_keys",
        "reports",
        "by_node_key",
        "by_machine",
        "by_name",
        "everyone",
    ):
        assert getattr(again, name) == getattr(t, name), name
    assert again.expired == t.expired == {3}
    assert again.admits(node_key(1), NOW) and not again.admits(node_key(3), NOW)
    assert not again.admits(node_key(2), NOW)


def test_a_failed_commit_is_not_heard_of() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    node = join(t, 1, make_key(t))
    heard: list[int] = []
    t.on_change(lambda: heard.append(1))
    store.fail_with = StoreFull("no space left on device")
    with pytest.raises(StoreFull):
        devices.rename(t, node.id, "other", "test", NOW)
    assert t.nodes[node.id] == node and not heard and t.by_name == {"lab": node.id}


def test_the_store_has_it_before_anybody_hears() -> None:
    store = MemoryStore()
    t = make_tailnet(store)
    node = join(t, 1, make_key(t))
    seen: list[str] = []
    t.on_change(lambda: seen.append(store.rows["node"][node.id].name))
    devices.rename(t, node.id, "other", "test", NOW)
    assert seen == ["other"]


def test_new_dns_settings_are_news_for_all() -> None:
    t = make_tailnet()
    t.configure(replace(t.settings, node_expiry=5.0))
    assert t.changes.cursor == 0
    t.configure(replace(t.settings, dns=DnsSettings(base_domain="mesh.example.org", search_domains=("x",))))
    assert t.changes.since(0) == Dirty({}, Common.DNS)


def test_forgetting_a_node_forgets_all_of_it() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t, ephemeral=True))
    report.take(t, machine(1), map_request(1, "new-name"), NOW)
    t.presence.enter(node.id)
    devices.delete(t, node.id, "test", NOW)
    for held in (t.nodes, t.reports, t.by_node_key, t.by_machine, t.by_name, t.renamed_at, t.expired):
        assert not held
    assert t.everyone == 0 and t.deadlines.next_at() is None and t.flush() == 0
    assert t.presence.session_count == 0


def test_the_policys_relays_are_laid_over_those_of_the_configuration() -> None:
    t = make_tailnet()
    own = DerpMap((Region(999, "own", "Own", (DerpNode("999a", "relay.example.com"),)),))
    t.set_derp_map(own)
    far = {"RegionID": 901, "Nodes": [{"Name": "901a", "HostName": "far.example.com"}]}
    t.enforce(policy(derpMap={"Regions": {"901": far}}))
    assert [region.id for region in t.derp_map.regions] == [901, 999]
    cursor = t.changes.cursor
    t.set_derp_map(own)
    assert t.changes.cursor == cursor, "nothing new is nothing told"
    t.enforce(None)
    assert t.derp_map == own
