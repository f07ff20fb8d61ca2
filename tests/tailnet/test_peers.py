from __future__ import annotations

import orjson

from meshbox.policy.outlook import Outlook
from meshbox.tailnet import devices, report
from meshbox.tailnet.changes import Fact
from meshbox.tailnet.peers import Peers
from meshbox.tailnet.users import TAGGED_DEVICES_ID
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request

ALL = Outlook()


def test_what_a_peer_is_never_told() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    report.take(t, machine(1), map_request(1), NOW)
    peer = orjson.loads(Peers(t).node(node.id, ALL))
    assert "Machine" not in peer and "NetInfo" not in peer["Hostinfo"] and "CapMap" not in peer


def test_tagged_nodes_have_an_owner_with_a_profile() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t, tags=("tag:ci",)))
    peers = Peers(t)
    json = orjson.loads(peers.node(node.id, ALL))
    assert json["User"] == TAGGED_DEVICES_ID and json["Tags"] == ["tag:ci"]
    assert peers.profile(json["User"])["LoginName"] == "tagged-devices"


def test_a_node_without_a_home_relay_is_still_a_node() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    json = orjson.loads(Peers(t).node(node.id, ALL))
    assert json["HomeDERP"] == 0 and json["Online"] is False and "LastSeen" not in json
    assert "DERPRegion" not in Peers(t).hot_patch(node.id)


def test_forgetting_hot_facts_keeps_the_static_part() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    peers = Peers(t)
    peers.node(node.id, ALL)
    static = peers._static[node.id]
    t.presence.enter(node.id)
    peers.forget(node.id, Fact.ONLINE)
    assert orjson.loads(peers.node(node.id, ALL))["Online"] is True
    assert peers._static[node.id] is static
    devices.rename(t, node.id, "other", "test", NOW)
    peers.forget(node.id, Fact.WHOLE)
    assert orjson.loads(peers.node(node.id, ALL))["Name"] == "other.mesh.example.org."
