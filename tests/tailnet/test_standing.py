from __future__ import annotations

from dataclasses import replace

from meshbox.tailnet import report
from meshbox.tailnet.ports import Put
from meshbox.tailnet.standing import Standing
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request, policy

ROUTES = ["10.33.0.0/16", "0.0.0.0/0", "::/0"]


def test_a_node_is_told_all_its_routes_and_is_primary_only_for_those_it_carries() -> None:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    for number in (1, 2):
        node = join(t, number, key)
        report.take(t, machine(number), map_request(number, routes=ROUTES), NOW)
        t.presence.enter(node.id)
        t.commit(NOW, Put(replace(node, approved_routes=t.report(node.id).advertised_routes)))
    first, second = (Standing(t).of(t.nodes[one]) for one in sorted(t.nodes))
    assert first["AllowedIPs"] == [*first["Addresses"], *ROUTES] and first["PrimaryRoutes"] == ROUTES[:1]
    assert second["AllowedIPs"] == [*second["Addresses"], *ROUTES] and "PrimaryRoutes" not in second


def test_capabilities_are_the_usual_ones_and_those_of_the_policy() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t, "ana"))
    usual = Standing(t).of(node)
    t.enforce(policy(nodeAttrs=[{"target": ["ana@"], "attr": ["funnel", "disable-ipv4"]}]))
    told = Standing(t).of(node)
    assert set(told["CapMap"]) > set(usual["CapMap"]) and "funnel" in told["CapMap"]
    assert len(usual["Addresses"]) == 2 and told["Addresses"] == [f"{node.ipv6}/128"]
