"""Subnet routers and exit nodes with official clients: a LAN that only a router reaches, and its failover."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.world.clients import SERVE, Client
from tests.world.net import Guests, Net
from tests.world.network import Host, Router
from tests.world.process import Daemon, eventually

OUTSIDE = "198.51.100.7"
"""An address of the internet; in the laboratory only the LAN's printer has it."""


@dataclass
class Office:
    """A LAN behind its router, with a printer that runs no client, and machines that can route to it."""

    net: Net
    guests: Guests
    lan: Router
    printer: Host

    @property
    def network(self) -> str:
        return str(self.lan.network)

    @property
    def page(self) -> str:
        return f"http://{self.net.lab.cables[self.printer.name].address}:8000/"

    def gateway(self, name: str, *words: str) -> Client:
        """A client in the LAN that offers to carry it."""
        client = self.guests.start(name, behind=self.lan)
        client.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        printer = self.net.lab.cables[self.printer.name].address
        client.host.links(f"route add {OUTSIDE}/32 via {printer}")
        return client.up(self.net.key, f"--advertise-routes={self.network}", *words)

    def state(self, name: str) -> set[str]:
        return {one["state"] for one in self.net.server.ask("routes", "list", "--node", name)}


@pytest.fixture
def office(net: Net, guests: Guests) -> Iterator[Office]:
    lan = net.lab.router(f"office-{net.version}-{len(net.lab.cables)}")
    printer = net.lab.host(f"printer-{len(net.lab.cables)}", behind=lan)
    printer.links(f"addr add {OUTSIDE}/32 dev lo")
    page = printer.directory / "page"
    page.write_text("printed")
    web = Daemon("printer", printer.directory / "web.log")
    web.start(printer.inside([sys.executable, "-c", SERVE, "8000", str(page)]))
    net.ana.cli("set", "--accept-routes")
    yield Office(net, guests, lan, printer)
    net.ana.cli("set", "--accept-routes=false", "--exit-node=")
    web.stop()


def test_a_lan_is_reached_once_its_route_is_approved_and_until_it_is_withdrawn(office: Office) -> None:
    net = office.net
    office.gateway("gateway")
    net.ana.sees("gateway", online=True)
    assert office.state("gateway") == {"waiting"}
    assert not net.ana.sees("gateway").get("PrimaryRoutes")
    net.server.admin("routes", "approve", "gateway")
    eventually(
        lambda: net.ana.sees("gateway").get("PrimaryRoutes") == [office.network], 1, "ana has the route"
    )
    assert net.ana.fetch(office.page, within=20) == "printed"
    net.server.admin("routes", "withdraw", "gateway", office.network)
    eventually(lambda: not net.ana.sees("gateway").get("PrimaryRoutes"), 1, "ana has no route any more")


def test_another_router_takes_over_and_keeps_the_route(office: Office) -> None:
    net = office.net
    first, second = office.gateway("carrier"), office.gateway("deputy")
    for name in ("carrier", "deputy"):
        net.server.admin("routes", "approve", name)
    assert office.state("carrier") == {"primary"} and office.state("deputy") == {"standby"}
    assert net.ana.fetch(office.page, within=20) == "printed"
    first.kill()
    eventually(lambda: office.state("deputy") == {"primary"}, 15, "the second router carries the route")
    assert net.ana.fetch(office.page, within=15) == "printed"
    first.start()
    net.ana.sees("carrier", online=True)
    assert office.state("deputy") == {"primary"}, "it does not go back: that would break connections again"
    second.kill()
    eventually(lambda: office.state("carrier") == {"primary"}, 15, "the first router carries the route again")
    assert net.ana.fetch(office.page, within=15) == "printed"


def test_an_exit_node_carries_traffic(office: Office) -> None:
    net = office.net
    office.gateway("exit", "--advertise-exit-node")
    net.ana.sees("exit", online=True)
    assert not net.ana.sees("exit")["ExitNodeOption"]
    net.server.admin("routes", "approve", "exit", "exit")
    eventually(lambda: net.ana.sees("exit")["ExitNodeOption"], 1, "ana may use the exit node")
    net.ana.cli("set", "--exit-node=exit")
    assert net.ana.fetch(f"http://{OUTSIDE}:8000/", within=20) == "printed"
    net.ana.cli("set", "--exit-node=")
    net.server.admin("routes", "withdraw", "exit")
    eventually(lambda: not net.ana.sees("exit")["ExitNodeOption"], 1, "ana may not use it any more")


def test_the_policy_approves_a_route_when_it_is_offered(office: Office) -> None:
    net = office.net
    net.put_policy(autoApprovers={"routes": {office.network: ["lab@"]}})
    try:
        office.gateway("trusted")
        eventually(lambda: office.state("trusted") == {"primary"}, 5, "the route approves itself")
        assert net.ana.fetch(office.page, within=20) == "printed"
    finally:
        net.put_policy()
