"""App connectors: a domain that is resolved, and from then on reached, through a node."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import nameserver
from tests.world.net import Guests, Net
from tests.world.process import Daemon, eventually
from tests.world.sites import OUTSIDE, Site, open_site, put_policy

TAGS = {"tag:connector": ["autogroup:admin"]}
APPS = [{"name": "shop", "domains": ["shop.example", "*.shop.example"], "connectors": ["tag:connector"]}]
ATTRIBUTES = [{"target": ["*"], "app": {"tailscale.com/app-connectors": APPS}}]
LEARNED = {"routes": {"0.0.0.0/0": ["tag:connector"], "::/0": ["tag:connector"]}}


@pytest.fixture
def shop(net: Net, guests: Guests, tmp_path: Path) -> Iterator[Site]:
    """A site whose machine is the shop, with a name server that only the site can ask."""
    site = open_site(net, guests, "shop-site")
    names = Daemon("name server", site.machine.directory / "dns.log")
    names.start(site.machine.inside([sys.executable, nameserver.__file__, site.address, OUTSIDE]))
    net.ana.cli("set", "--accept-routes")
    yield site
    names.stop()
    put_policy(net, tmp_path / "policy.json")
    net.ana.cli("set", "--accept-routes=false")


def test_a_domain_is_resolved_and_reached_through_a_connector(
    net: Net, guests: Guests, shop: Site, tmp_path: Path
) -> None:
    file = tmp_path / "policy.json"
    base = {"tagOwners": TAGS, "nodeAttrs": ATTRIBUTES, "autoApprovers": LEARNED}
    lab = {"src": ["lab@"], "dst": ["lab@", "tag:connector"], "ip": ["*"]}
    out = {"src": [*net.ana.addresses], "dst": ["autogroup:internet"], "ip": ["*"]}
    put_policy(net, file, **base, grants=[lab, out])
    key = net.server.create_key("lab", "--tags", "tag:connector")
    connector = guests.start("connector", behind=shop.lan)
    assert connector.host.etc is not None
    (connector.host.etc / "resolv.conf").write_text(f"nameserver {shop.address}\n")
    connector.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    connector.host.links(f"route add {OUTSIDE}/32 via {shop.address}")
    connector.up(key, "--advertise-connector")

    assert net.ana.fetch("http://www.shop.example:8000/", within=30).startswith("shop-site ")
    assert net.ana.resolve("www.shop.example") == [OUTSIDE]
    routes = {one["route"]: one["state"] for one in net.server.ask("routes", "list", "--node", "connector")}
    assert routes == {f"{OUTSIDE}/32": "primary"}, "what it learned approved itself"
    assert net.ana.sees("connector")["PrimaryRoutes"] == [f"{OUTSIDE}/32"]
    told = net.server.ask("dns", "show", "--as", "ana")
    assert "/dns-query" in str(told)

    assert net.ben.resolve("www.shop.example") == [], (
        "ben may not use the internet: nobody resolves it for him"
    )
    assert "/dns-query" not in str(net.server.ask("dns", "show", "--as", "ben"))
    put_policy(net, file, **base, grants=[lab])
    eventually(lambda: not net.ana.sees("connector").get("PrimaryRoutes"), 2, "the way is closed")
    eventually(lambda: net.ana.resolve("www.shop.example") == [], 5, "and the name is not resolved any more")
