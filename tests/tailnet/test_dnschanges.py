from __future__ import annotations

from dataclasses import replace

from meshbox.tailnet import devices
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.settings import DnsSettings, ExtraRecord
from tests.tailnet.build import NOW, join, make_key, make_tailnet
from tests.tailnet.memory import PaperClient

BASE = "mesh.example.org"
CAP = "dns-subdomain-resolve"


def test_a_wildcard_is_a_capability_that_comes_and_goes() -> None:
    t = make_tailnet(dns=DnsSettings(base_domain=BASE))
    lab, desk = join(t, 1, make_key(t), "lab"), join(t, 2, make_key(t), "desk")
    clients = [(PaperClient(), Poll(Mapper(t), node, "zstd")) for node in (lab, desk)]
    for client, poll in clients:
        client.feed(poll.first(NOW))

    def told() -> tuple[bool, bool]:
        for client, poll in clients:
            client.feed(poll.next(NOW))
        (of_lab, _), (of_desk, _) = clients
        return CAP in of_lab.self_node["CapMap"], CAP in (of_desk.peers[lab.id].get("CapMap") or {})

    assert told() == (False, False)
    t.configure(replace(t.settings, dns=replace(t.settings.dns, subdomains=frozenset({"lab", "ghost"}))))
    assert told() == (True, True)
    devices.rename(t, lab.id, "other", "test", NOW)
    assert told() == (False, False)
    devices.rename(t, lab.id, "lab", "test", NOW)
    t.configure(replace(t.settings, dns=replace(t.settings.dns, subdomains=frozenset())))
    assert told() == (False, False)


def test_only_nodes_that_aliases_lead_to_are_news_for_all() -> None:
    alias = ExtraRecord("git." + BASE, "CNAME", "lab")
    t = make_tailnet(dns=DnsSettings(base_domain=BASE, extra_records=(alias,)))
    join(t, 2, make_key(t), "desk")
    before = t.changes.common_cursor
    devices.rename(t, 1, "desktop", "test", NOW)
    assert t.changes.common_cursor == before
    join(t, 3, make_key(t), "lab")
    assert t.changes.common_cursor > before
