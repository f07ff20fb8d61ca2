from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network

from meshbox.tailnet.dns import dns_config, node_fqdn
from meshbox.tailnet.settings import DnsSettings, ExtraRecord, Settings


def test_magic_dns_answers_its_domain_and_the_reverse_zones() -> None:
    config = dns_config(
        Settings(dns=DnsSettings(base_domain="mesh.example.org", search_domains=("corp.example",)))
    )
    assert config["Proxied"] is True
    assert config["Domains"] == ["mesh.example.org", "corp.example"]
    routes = config["Routes"]
    assert isinstance(routes, dict)
    assert routes["mesh.example.org"] == []
    assert "64.100.in-addr.arpa." in routes and "127.100.in-addr.arpa." in routes
    assert "128.100.in-addr.arpa." not in routes
    assert "0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa." in routes


def test_nameservers_override_or_fall_back() -> None:
    override = dns_config(Settings(dns=DnsSettings(nameservers=("9.9.9.9",), override_local_dns=True)))
    assert override["Resolvers"] == [{"Addr": "9.9.9.9"}]
    fallback = dns_config(Settings(dns=DnsSettings(nameservers=("9.9.9.9",))))
    assert fallback["FallbackResolvers"] == [{"Addr": "9.9.9.9"}] and "Resolvers" not in fallback


def test_dns_switched_off_is_said() -> None:
    assert dns_config(Settings(dns=DnsSettings(magic_dns=False, base_domain="mesh.example.org"))) == {}


def test_split_dns_and_extra_records() -> None:
    dns = DnsSettings(
        split=(("corp.example", ("10.0.0.1",)),),
        extra_records=(ExtraRecord("a.mesh", "A", "100.64.0.9"), ExtraRecord("t.mesh", "TXT", "x")),
    )
    config = dns_config(Settings(dns=dns))
    assert config["Routes"] == {"corp.example": [{"Addr": "10.0.0.1"}]}
    assert config["ExtraRecords"] == [
        {"Name": "a.mesh", "Value": "100.64.0.9"},
        {"Name": "t.mesh", "Value": "x", "Type": "TXT"},
    ]


def test_odd_prefixes_make_few_zones() -> None:
    narrow = Settings(
        dns=DnsSettings(base_domain="m.example"),
        prefix_v4=IPv4Network("100.64.5.0/24"),
        prefix_v6=IPv6Network("fd7a:115c:a1e0::/64"),
    )
    routes = dns_config(narrow)["Routes"]
    assert isinstance(routes, dict)
    assert "5.64.100.in-addr.arpa." in routes and len(routes) == 3


def test_names_end_in_a_dot() -> None:
    assert (
        node_fqdn(Settings(dns=DnsSettings(base_domain="mesh.example.org")), "lab") == "lab.mesh.example.org."
    )
