from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from meshbox.tailnet import devices
from meshbox.tailnet.dnsview import DnsView
from meshbox.tailnet.frames import PLAIN, ZSTD
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.settings import DnsOverride, DnsSettings, ExtraRecord
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet, policy
from tests.tailnet.memory import PaperClient

BASE = "mesh.example.org"
GIT = ExtraRecord("git." + BASE, "CNAME", "lab")


def pair(**dns: Any) -> tuple[Tailnet, Node, Node]:
    t = make_tailnet(dns=DnsSettings(base_domain=BASE, **dns))
    return t, join(t, 1, make_key(t, "ana"), "lab"), join(t, 2, make_key(t, "bo"), "desk")


def config(view: DnsView, node: Node) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(view.piece(node))
    assert found == orjson.loads(orjson.dumps(view.config(node)))
    return found


def watch(t: Tailnet, node: Node) -> tuple[PaperClient, Poll]:
    client, poll = PaperClient(), Poll(Mapper(t), node, "zstd")
    client.feed(poll.first(NOW))
    return client, poll


def test_nodes_without_overrides_share_one_encoding() -> None:
    t, lab, desk = pair()
    view = DnsView(t)
    assert view.piece(lab) is view.piece(desk)
    assert view.member(lab, ZSTD) is view.member(desk, ZSTD)
    assert view.member(lab, PLAIN) == b'"DNSConfig":' + view.piece(lab) + b","


def test_overrides_are_for_users_nodes_and_tags_and_the_last_one_wins() -> None:
    t, lab, desk = pair(
        nameservers=("9.9.9.9",),
        overrides=(
            DnsOverride(("user:ana", "tag:kiosk"), nameservers=("1.1.1.1",)),
            DnsOverride(("node:lab",), split=(("corp.example", ("10.0.0.1",)),), search_domains=("corp",)),
            DnsOverride(("node:lab",), override_local_dns=False),
        ),
    )
    view = DnsView(t)
    assert config(view, desk)["FallbackResolvers"] == [{"Addr": "9.9.9.9"}]
    of_lab = config(view, lab)
    assert of_lab["FallbackResolvers"] == [{"Addr": "1.1.1.1"}] and "Resolvers" not in of_lab
    assert of_lab["Routes"]["corp.example"] == [{"Addr": "10.0.0.1"}]
    assert of_lab["Domains"] == [BASE, "corp"]
    tagged = devices.set_tags(t, desk.id, ["tag:kiosk"], "test", NOW)
    assert config(view, tagged)["Resolvers"] == [{"Addr": "1.1.1.1"}]


def test_an_alias_follows_its_node() -> None:
    t, lab, desk = pair(extra_records=(GIT,))
    client, poll = watch(t, desk)
    addresses = [str(address) for address in lab.addresses]
    assert [record["Value"] for record in client.dns["ExtraRecords"]] == addresses
    devices.rename(t, lab.id, "elsewhere", "test", NOW)
    client.feed(poll.next(NOW))
    assert "ExtraRecords" not in client.dns
    devices.rename(t, desk.id, "lab", "test", NOW)
    client.feed(poll.next(NOW))
    assert [record["Value"] for record in client.dns["ExtraRecords"]] == [str(one) for one in desk.addresses]
    other, other_poll = watch(t, lab)
    devices.delete(t, desk.id, "test", NOW)
    other.feed(other_poll.next(NOW))
    assert "ExtraRecords" not in other.dns


def test_an_alias_leads_nowhere_for_whoever_may_not_see_its_node() -> None:
    t, lab, desk = pair(extra_records=(GIT,))
    (of_lab, lab_poll), (of_desk, desk_poll) = watch(t, lab), watch(t, desk)

    def hears() -> list[bool]:
        of_lab.feed(lab_poll.next(NOW))
        of_desk.feed(desk_poll.next(NOW))
        return ["ExtraRecords" in client.dns for client in (of_lab, of_desk)]

    t.enforce(policy(acls=[]))
    assert hears() == [True, False], "itself it knows"
    let_in = {"action": "accept", "src": ["bo@"], "dst": ["ana@:80"]}
    t.enforce(policy(acls=[let_in], tagOwners={"tag:db": []}))
    assert hears() == [True, True]
    assert config(DnsView(t), desk)["ExtraRecords"][0]["Value"] == str(lab.addresses[0])
    devices.set_tags(t, lab.id, ["tag:db"], "test", NOW)
    assert hears() == [True, False], "no longer anas"
    assert "ExtraRecords" in DnsView(t).config(None), "an administrator is shown all"


def test_a_node_that_changes_hands_gets_the_settings_of_its_new_owner() -> None:
    t, lab, _ = pair(overrides=(DnsOverride(("user:bo",), nameservers=("1.1.1.1",)),))
    client, poll = watch(t, lab)
    assert "Resolvers" not in client.dns
    devices.set_owner(t, lab.id, t.by_user_name["bo"], "test", NOW)
    client.feed(poll.next(NOW))
    assert client.dns["Resolvers"] == [{"Addr": "1.1.1.1"}]


def test_new_settings_are_told_only_to_those_they_concern() -> None:
    t, lab, desk = pair()
    (_, of_lab), (client, of_desk) = watch(t, lab), watch(t, desk)
    override = DnsOverride(("node:desk",), nameservers=("1.1.1.1",))
    t.configure(replace(t.settings, dns=replace(t.settings.dns, overrides=(override,))))
    assert of_lab.next(NOW) == []
    client.feed(of_desk.next(NOW))
    assert client.dns["Resolvers"] == [{"Addr": "1.1.1.1"}]


def test_nextdns_is_told_which_device_asks() -> None:
    t, lab, desk = pair(nameservers=("https://dns.nextdns.io/abc",))
    view = DnsView(t)
    (resolver,) = config(view, lab)["FallbackResolvers"]
    assert resolver["Addr"].startswith("https://dns.nextdns.io/abc?device_name=lab&")
    kids = {"target": ["bo@"], "attr": ["nextdns:kids", "nextdns:no-device-info"]}
    client, poll = watch(t, desk)
    t.enforce(policy(nodeAttrs=[kids]))
    (resolver,) = config(view, desk)["FallbackResolvers"]
    assert resolver["Addr"] == "https://dns.nextdns.io/kids"
    client.feed(poll.next(NOW))
    assert client.dns == config(view, desk)


def test_the_memo_is_bounded() -> None:
    t, lab, _ = pair(nameservers=("https://dns.nextdns.io/abc",))
    view = DnsView(t)
    for number in range(300):
        assert b"device_name=x%d&" % number in view.piece(replace(lab, name=f"x{number}"))
    assert len(view._memo) <= 256
