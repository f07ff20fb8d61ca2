from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from meshbox.policy import attrs
from meshbox.policy.document import Document
from meshbox.policy.resolve import Resolver
from meshbox.policy.world import Device
from tests.policy.build import ANA, BOB, DEVICES, EXIT, WEB, compiled, device, document, world


def caps(policy: Document, one: Device) -> attrs.Caps:
    return attrs.self_caps(policy, Resolver(policy, world()), one)


def test_entries_add_up() -> None:
    policy = document(
        nodeAttrs=[
            {"target": ["*"], "attr": ["a"]},
            {"target": ["tag:web"], "attr": ["b", "a"], "app": {"x.org/y": [1]}},
            {"target": ["autogroup:tagged"], "app": {"x.org/y": [2]}},
            {"target": [], "attr": ["nobody"]},
        ]
    )
    assert caps(policy, DEVICES[WEB - 1]) == {"a": None, "b": None, "x.org/y": [1, 2]}
    assert caps(policy, DEVICES[ANA - 1]) == {"a": None}


def test_switches_of_the_whole_tailnet() -> None:
    policy = document(randomizeClientPort=True, OneCGNATRoute="mac-never", disableIPv4=True)
    assert set(caps(policy, device(9, user=1))) == {"randomize-client-port", "disable-ipv4"}
    assert attrs.ONE_CGNAT["mac-never"] in caps(policy, replace(device(9, user=1), os="macOS"))


def test_funnel_brings_its_ports() -> None:
    policy = document(nodeAttrs=[{"target": ["autogroup:owner"], "attr": ["funnel"]}])
    assert set(caps(policy, DEVICES[ANA - 1])) == {"funnel", attrs.FUNNEL_PORTS, attrs.FUNNEL_NEEDS_HTTPS}
    assert caps(policy, DEVICES[BOB - 1]) == {}


def test_peers_are_told_of_approved_exit_nodes() -> None:
    assert attrs.peer_caps(DEVICES[EXIT - 1]) == {attrs.SUGGEST_EXIT: None}
    assert attrs.peer_caps(DEVICES[WEB - 1]) == {}


def test_without_ipv4_neither_side_shows_it() -> None:
    found = compiled(nodeAttrs=[{"target": ["tag:web"], "attr": ["disable-ipv4"]}])
    assert not found.has_ipv4(WEB)
    assert not found.shows_ipv4(ANA, WEB) and not found.shows_ipv4(WEB, ANA)
    assert found.shows_ipv4(ANA, BOB)


def test_the_first_pool_counts() -> None:
    policy = document(
        nodeAttrs=[
            {"target": ["bob@example.com"], "ipPool": ["100.81.0.0/16"]},
            {"target": ["*"], "ipPool": ["100.82.0.0/16"]},
        ]
    )
    resolver = Resolver(policy, world())
    assert attrs.address_pool(policy, resolver, DEVICES[BOB - 1]) == (ip_network("100.81.0.0/16"),)
    assert attrs.address_pool(policy, resolver, DEVICES[ANA - 1]) == (ip_network("100.82.0.0/16"),)
