"""Control and a relay alone behind nginx and Caddy, with the configurations of docs/proxy.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from tests.world.authority import Authority
from tests.world.clients import NEWEST, Client
from tests.world.lab import CONTROL_NAME, PUBLIC, Lab
from tests.world.net import keep
from tests.world.process import Daemon, eventually
from tests.world.proxies import RELAY_NAME, Proxy, settings_of
from tests.world.server import MESHBOX, REGION, REGION_ID, Offer


@dataclass
class Site:
    lab: Lab
    proxy: Proxy
    relay: Daemon
    ana: Client
    ben: Client


@pytest.fixture(scope="module", params=["nginx", "Caddy"])
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """Everything on one machine: the proxy on port 443, control and a relay alone behind it on loopback."""
    lab = Lab(tls=True)
    for opened in keep(lab):
        authority = Authority(opened.directory)
        issued = [authority.issue(name, PUBLIC[2], name) for name in (CONTROL_NAME, RELAY_NAME)]
        opened.authority = authority.path
        opened._serve(Offer(f"https://{CONTROL_NAME}", 8080, PUBLIC[2], more=_control(opened)))
        proxy = Proxy(request.param, opened.server.host, opened.directory, *issued)
        relay = Daemon("meshbox derp", opened.directory / "derp.log")
        relay.start(opened.server.host.inside([str(MESHBOX), "derp", "-c", str(_relay_file(opened))]))
        try:
            opened.server.start()
            proxy.start()
            opened.server.create_user("lab")
            key = opened.server.create_key("lab", "--reusable")
            ana, ben = (opened.client(name, NEWEST).up(key) for name in ("ana", "ben"))
            yield Site(opened, proxy, relay, ana, ben)
        finally:
            proxy.close()
            relay.stop()


def _control(lab: Lab) -> dict[str, object]:
    relay = {
        "enabled": True, "separate": True, "host_name": RELAY_NAME, "ipv4": str(PUBLIC[2]),
        "region_id": REGION_ID, "region_code": REGION, "region_name": "Laboratory",
    }  # fmt: skip
    return {
        **yaml.safe_load(settings_of("The server")),
        "derp": {"server": relay, "push": [str(lab.directory / "derp.sock")]},
    }


def _relay_file(lab: Lab) -> str:
    file = lab.directory / "derp.yaml"
    own = {"state_dir": str(lab.directory), "socket": str(lab.directory / "derp.sock")}
    own["private_key_path"] = str(lab.directory / "derp.key")
    file.write_text(yaml.safe_dump({**yaml.safe_load(settings_of("A relay alone")), **own}))
    return str(file)


def test_clients_join_and_news_is_not_held_back(site: Site) -> None:
    site.ana.ping("ben", via="direct")
    site.lab.server.admin("nodes", "rename", "ben", "bertram")
    site.ana.sees("bertram", online=True, within=3)
    site.lab.server.admin("nodes", "rename", "bertram", "ben")
    site.ana.sees("ben", online=True, within=3)


def test_the_server_knows_where_clients_really_are(site: Site) -> None:
    log = site.lab.server.daemon.text()
    for client in (site.ana, site.ben):
        address = site.lab.cables[client.name].address
        assert f"node {client.name} (id" in log and f"registered from {address}" in log


def test_the_relay_alone_carries_what_udp_may_not(site: Site) -> None:
    for client in (site.ana, site.ben):
        site.lab.cables[client.name].block_udp()
    site.ana.ping("ben", via="derp", within=40)
    sent = site.ana.host.run("ping", "-c", "20", "-i", "0.1", "-q", site.ben.address, timeout=30).out
    for client in (site.ana, site.ben):
        site.lab.cables[client.name].allow_udp()
    assert " 0% packet loss" in sent
    assert site.ana.relay_faults(REGION_ID) == []


def test_a_restart_behind_the_proxy_is_survived(site: Site) -> None:
    site.lab.server.stop()
    site.lab.server.start()
    site.ana.sees("ben", online=True, within=20)
    eventually(lambda: site.ben.status()["Self"]["Online"], 10, "ben is back too")
    site.ana.ping("ben")
