"""The map of relays: how the embedded one is reached, and files beside it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshbox.config import Config, load
from meshbox.errors import ConfigError
from meshbox.serve.introduction import Introduction
from meshbox.serve.relaymap import own_region, relay_addresses, relay_map
from meshbox.wire.derpmap import DerpMap, to_json

PIN = "sha256-raw:" + "ab" * 32
PROPER = Introduction()


def config(tmp_path: Path, **values: object) -> Config:
    values.setdefault("dns", {"base_domain": "mesh.test"})
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(values))
    return load(path, {})


def relay(**values: object) -> dict[str, object]:
    return {"server": {"enabled": True, **values}}


def test_a_relay_behind_https_has_the_port_of_the_url(tmp_path: Path) -> None:
    region = own_region(config(tmp_path, server_url="https://ctl.example.org", derp=relay()), PROPER)
    assert region is not None
    (node,) = region.nodes
    assert (region.id, node.host_name, node.derp_port, node.ipv4, node.cert_name) == (
        999,
        "ctl.example.org",
        0,
        "",
        "",
    )
    region = own_region(config(tmp_path, server_url="https://ctl.example.org:8443", derp=relay()), PROPER)
    assert region is not None and region.nodes[0].derp_port == 8443


def test_a_relay_of_its_own_without_a_domain_is_pinned_and_needs_no_look_up(tmp_path: Path) -> None:
    derp = relay(listen_addr="0.0.0.0:8443", stun_listen_addr="0.0.0.0:3479")
    region = own_region(config(tmp_path, server_url="http://192.0.2.7:8080", derp=derp), Introduction(PIN))
    assert region is not None
    (node,) = region.nodes
    assert (node.host_name, node.ipv4, node.ipv6) == ("192.0.2.7", "192.0.2.7", "none")
    assert (node.derp_port, node.stun_port, node.cert_name) == (8443, 3479, PIN)


def test_a_relay_no_client_could_use_is_left_out(tmp_path: Path) -> None:
    assert own_region(config(tmp_path, server_url="http://ctl.example.org", derp=relay()), PROPER) is None
    off = config(tmp_path, server_url="https://ctl.example.org", derp=relay(enabled=False))
    assert own_region(off, PROPER) is None


def test_configured_addresses_win_over_dns(tmp_path: Path) -> None:
    derp = relay(ipv4="198.51.100.1", ipv6="2001:db8::1")
    region = own_region(config(tmp_path, server_url="https://ctl.example.org", derp=derp), PROPER)
    assert region is not None
    assert (region.nodes[0].ipv4, region.nodes[0].ipv6) == ("198.51.100.1", "2001:db8::1")


def test_files_are_merged_and_their_relays_may_ask(tmp_path: Path) -> None:
    extra = tmp_path / "derp.yaml"
    extra.write_text(
        "regions:\n  901:\n    regionid: 901\n    regioncode: far\n    regionname: Far\n    nodes:\n"
        "      - {name: 901a, regionid: 901, hostname: far.example.org, ipv4: 203.0.113.9}\n"
    )
    derp = relay(ipv4="198.51.100.1") | {"paths": [str(extra)]}
    merged = relay_map(config(tmp_path, server_url="https://ctl.example.org", derp=derp), PROPER)
    assert [region.id for region in merged.regions] == [901, 999]
    assert relay_addresses(merged) == {"203.0.113.9", "198.51.100.1"}


@pytest.mark.parametrize("content", ["regions: [", "regions: {x: 1}", "regoins: {}", None])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str | None) -> None:
    extra = tmp_path / "derp.yaml"
    if content is not None:
        extra.write_text(content)
    derp = relay() | {"paths": [str(extra)]}
    with pytest.raises(ConfigError, match=r"derp\.yaml"):
        relay_map(config(tmp_path, server_url="https://ctl.example.org", derp=derp), PROPER)


def test_a_separate_relay_is_left_out_until_it_said_how_it_is_to_be_verified(tmp_path: Path) -> None:
    derp = {
        "server": {"enabled": True, "separate": True, "host_name": "derp.example.org"},
        "push": ["/run/x"],
    }
    separate = config(tmp_path, server_url="https://ctl.example.org", derp=derp)
    assert own_region(separate, None) is None
    region = own_region(separate, PROPER)
    assert region is not None
    assert (region.nodes[0].host_name, region.nodes[0].derp_port) == ("derp.example.org", 0)
    assert relay_map(separate, None, [DerpMap((region,))]).regions == (region,)


@pytest.mark.parametrize(
    ("values", "server", "said", "expected"),
    [
        ({"listen_addr": ":443", "http": {"listen_addr": ":80"}}, {}, PROPER, True),
        ({"listen_addr": ":443", "http": {"listen_addr": ":8080"}}, {}, PROPER, False),
        ({"listen_addr": ":443"}, {}, PROPER, False),
        ({"listen_addr": ":80", "server_url": "http://192.0.2.7"}, {"listen_addr": ":443"}, PROPER, True),
        ({"http": {"listen_addr": ":80"}}, {"separate": True, "host_name": "d.example.org"}, PROPER, False),
        ({}, {"separate": True, "host_name": "d.example.org"}, Introduction(port80=True), True),
        (
            {"http": {"listen_addr": ":80"}, "tls_cert_path": "/c", "tls_key_path": "/k"},
            {"separate": True, "host_name": "d.example.org", "handover_socket": "/run/h"},
            PROPER,
            True,
        ),
    ],
)
def test_clients_look_for_captive_portals_where_port_80_is_served(
    tmp_path: Path, values: dict[str, object], server: dict[str, object], said: Introduction, expected: bool
) -> None:
    derp = relay(**server) | ({"push": ["/run/x"]} if server.get("separate") else {})
    made = config(tmp_path, **{"server_url": "https://ctl.example.org", **values, "derp": derp})
    region = own_region(made, said)
    assert region is not None and region.nodes[0].can_port80 is expected


def test_the_same_configuration_is_told_in_the_same_words(tmp_path: Path) -> None:
    """A client hangs up at a relay whose entry differs in anything (magicsock: "derp-region-redefined"). Who
    changes this makes the upgrade to it cut relayed packets: say so in the changelog."""
    server = {
        "separate": True,
        "host_name": "derp.example.org",
        "handover_socket": "/run/h",
        "ipv4": "192.0.2.7",
    }
    values = {
        "server_url": "https://ctl.example.org", "http": {"listen_addr": ":80"},
        "tls_cert_path": "/c", "tls_key_path": "/k", "derp": relay(**server) | {"push": ["/run/x"]},
    }  # fmt: skip
    region = own_region(config(tmp_path, **values), Introduction(PIN))
    assert region is not None
    assert to_json(DerpMap((region,)))["Regions"] == {
        "999": {
            "RegionID": 999, "RegionCode": "meshbox", "RegionName": "meshbox relay",
            "Nodes": [{
                "Name": "999a", "RegionID": 999, "HostName": "derp.example.org", "CertName": PIN,
                "IPv4": "192.0.2.7", "STUNPort": 3478, "CanPort80": True,
            }],
        },
    }  # fmt: skip
