from __future__ import annotations

from dataclasses import replace
from typing import Any

from meshbox.tailnet import report, users
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.derpmap import DerpMap, DerpNode, Region
from tests.tailnet.build import NOW, allow, join, machine, make_key, make_tailnet, map_request, policy
from tests.tailnet.memory import PaperClient

PINNED = "sha256-raw:" + "0a" * 32
RELAY = Region(900, "lab", "Lab", (DerpNode("900a", "10.0.0.1", derp_port=8443, cert_name=PINNED),))


def test_hidden_owners_stay_hidden_in_maps_and_in_news() -> None:
    t = make_tailnet()
    ana, bo, eve = (join(t, n, make_key(t, name)) for n, name in enumerate(("ana", "bo", "eve"), 1))
    t.enforce(policy(acls=[allow(str(ana.ipv4), "*:*")]))
    mapper = Mapper(t)
    client, poll = PaperClient(), Poll(mapper, bo, "zstd")
    client.feed(poll.first(NOW))
    assert set(client.peers) == {ana.id}
    users.rename(t, t.by_user_name["eve"], "mallory", "test", NOW)
    users.rename(t, t.by_user_name["ana"], "anna", "test", NOW)
    client.feed(poll.next(NOW))
    assert {profile["LoginName"] for profile in client.profiles.values()} == {"anna", "bo"}
    assert eve.id not in client.ever_told


def test_a_renamed_user_is_told_to_everybody_who_sees_a_node_of_theirs() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    client, poll = PaperClient(), Poll(Mapper(t), node, "zstd")
    client.feed(poll.first(NOW))
    users.rename(t, t.by_user_name["ana"], "anna", "test", NOW)
    client.feed(poll.next(NOW))
    fresh = PaperClient()
    fresh.feed(Poll(Mapper(t), node, "zstd").first(NOW))
    assert client.profiles == fresh.profiles


def pinned(t: Tailnet, number: int, version: int, mapper: Mapper) -> dict[str, Any]:
    """The relay as a client of that capability version is told of it, now and after the map changes."""
    node = join(t, number, make_key(t))
    report.take(t, machine(number), map_request(number, version=version), NOW)
    client, poll = PaperClient(), Poll(mapper, node, "zstd")
    client.feed(poll.first(NOW))
    (first,) = client.derp_map["Regions"]["900"]["Nodes"]
    t.set_derp_map(DerpMap((replace(RELAY, name=f"Number {number}"),)))
    client.feed(poll.next(NOW))
    region = client.derp_map["Regions"]["900"]
    assert region["RegionName"] == f"Number {number}"
    assert region["Nodes"] == [first]
    told: dict[str, Any] = first
    return told


def test_clients_that_do_not_know_pins_are_told_not_to_check_the_certificate() -> None:
    t = make_tailnet()
    t.set_derp_map(DerpMap((RELAY,)))
    mapper = Mapper(t)
    assert pinned(t, 1, 115, mapper)["CertName"] == PINNED
    old = pinned(t, 2, 113, mapper)
    assert "CertName" not in old
    assert old["InsecureForTests"] is True
    assert "InsecureForTests" not in pinned(t, 3, 142, mapper)
