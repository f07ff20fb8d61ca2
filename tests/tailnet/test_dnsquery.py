from __future__ import annotations

from dataclasses import replace

import pytest

from meshbox.tailnet.dnsquery import Client, RecordType
from meshbox.tailnet.dnsview import DnsView
from meshbox.tailnet.settings import DnsSettings, ExtraRecord
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import join, make_key, make_tailnet

BASE = "mesh.example.org"
DNS = DnsSettings(
    base_domain=BASE,
    nameservers=("9.9.9.9",),
    override_local_dns=True,
    split=(("corp.example", ("10.0.0.1",)), ("eu.corp.example", ("10.0.0.2",))),
    search_domains=("corp.example",),
    extra_records=(
        ExtraRecord("git." + BASE, "A", "100.64.0.9"),
        ExtraRecord("www.corp.example", "A", "10.1.1.1"),
    ),
)


def client(t: Tailnet, view: int = -1, speaks_ipv6: bool = False) -> Client:
    node = t.nodes[1]
    return Client(t, node, DnsView(t).config(node), t.everyone if view < 0 else view, speaks_ipv6)


@pytest.fixture
def t() -> Tailnet:
    t = make_tailnet(dns=DNS)
    join(t, 1, make_key(t), "lab")
    join(t, 2, make_key(t), "desk")
    return t


@pytest.mark.parametrize(
    ("name", "kind", "outcome", "said"),
    [
        ("desk", "A", "answered", ("100.64.0.2",)),
        ("DESK.mesh.example.org.", "A", "answered", ("100.64.0.2",)),
        ("desk." + BASE, "AAAA", "answered", ()),
        ("git." + BASE, "A", "answered", ("100.64.0.9",)),
        ("git." + BASE, "AAAA", "answered", ()),
        ("www.corp.example", "A", "answered", ("10.1.1.1",)),
        ("nobody." + BASE, "A", "no such name", ()),
        ("db.corp.example", "A", "asked elsewhere", ("10.0.0.1",)),
        ("db.eu.corp.example", "A", "asked elsewhere", ("10.0.0.2",)),
        ("notcorp.example", "A", "asked elsewhere", ("9.9.9.9",)),
        ("100.64.0.2", "PTR", "answered", ("desk." + BASE,)),
        ("100.64.0.77", "PTR", "no such name", ()),
        ("192.0.2.1", "PTR", "asked elsewhere", ("9.9.9.9",)),
    ],
)
def test_the_order_is_the_clients(
    t: Tailnet, name: str, kind: RecordType, outcome: str, said: tuple[str, ...]
) -> None:
    answer = client(t).ask(name, kind)
    assert (answer.outcome, answer.values or answer.resolvers) == (outcome, said)


def test_names_below_a_node_lead_to_it_where_that_is_wanted(t: Tailnet) -> None:
    assert client(t).ask("app.desk." + BASE).outcome == "no such name"
    t.configure(replace(t.settings, dns=replace(t.settings.dns, subdomains=frozenset({"desk"}))))
    for name in ("app.desk." + BASE, "a.b.desk." + BASE):
        assert client(t).ask(name).values == ("100.64.0.2",)
    assert client(t, view=0).ask("app.desk." + BASE).outcome == "no such name"


def test_a_hidden_node_has_no_name(t: Tailnet) -> None:
    assert client(t, view=0).ask("desk." + BASE).outcome == "no such name"
    assert client(t, view=0).ask("100.64.0.2", "PTR").outcome == "no such name"
    assert client(t, view=0).ask("lab").values == ("100.64.0.1",)


def test_ipv6_for_those_who_speak_it(t: Tailnet) -> None:
    assert client(t, speaks_ipv6=True).ask("desk", "AAAA").values == ("fd7a:115c:a1e0::2",)


def test_without_nameservers_the_network_is_asked() -> None:
    t = make_tailnet(dns=DnsSettings(base_domain=BASE))
    join(t, 1, make_key(t), "lab")
    assert client(t).ask("example.com").outcome == "left to the network"
