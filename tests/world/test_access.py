"""Who may reach whom, as official clients see it: a changed policy opens and closes within two seconds."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.process import eventually

WITHIN = 3.0
"""Seconds: two that are promised, and one for a test machine that has other things to do."""
PORT = 8000
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 0.7).close()"

NOBODY: dict[str, Any] = {"acls": []}


class Gate:
    """Puts policies in force and asks clients what is open."""

    def __init__(self, net: Net) -> None:
        self.net = net

    def put(self, **sections: object) -> None:
        self.net.put_policy(**sections)

    def opens(self, source: Client, target: Client, port: int = PORT) -> None:
        what = f"{source.name} reaches {target.name} at {port}"
        eventually(lambda: connects(source, target.address, port), WITHIN, what, every=0.05)

    def closes(self, source: Client, target: Client, port: int = PORT) -> None:
        what = f"{source.name} no longer reaches {target.name} at {port}"
        eventually(lambda: not connects(source, target.address, port), WITHIN, what, every=0.05)


def connects(source: Client, address: str, port: int) -> bool:
    return source.host.run(sys.executable, "-c", CONNECT, address, str(port), check=False).code == 0


def pings(source: Client, address: str) -> bool:
    """With the system's ping, which goes through the packet filter; `tailscale ping` does not."""
    return source.host.run("ping", "-c", "1", "-W", "1", address, check=False).code == 0


@pytest.fixture
def gate(net: Net) -> Iterator[Gate]:
    """Whatever the test put in force, everything is allowed afterwards."""
    net.ben.offer("hello")
    net.ana.fetch(f"http://{net.ben.address}:{PORT}/")
    gate = Gate(net)
    yield gate
    gate.put()
    net.ana.sees("ben", online=True)
    net.ana.ping("ben")


def accept(src: str, dst: str) -> dict[str, object]:
    return {"action": "accept", "src": [src], "dst": [dst]}


OPEN: dict[str, dict[str, Any]] = {
    "acls": {"acls": [accept("lab@", f"lab@:{PORT}")]},
    "grants": {"grants": [{"src": ["lab@"], "dst": ["lab@"], "ip": [f"tcp:{PORT}", "icmp:*"]}]},
    "groups": {"groups": {"group:all": ["lab@"]}, "acls": [accept("group:all", f"group:all:{PORT}")]},
    "autogroup:self": {"acls": [accept("autogroup:member", f"autogroup:self:{PORT}")]},
    "autogroup:member": {"grants": [{"src": ["autogroup:member"], "dst": ["autogroup:member"], "ip": ["*"]}]},
}


@pytest.mark.parametrize("kind", OPEN)
def test_a_policy_opens_and_closes(net: Net, gate: Gate, kind: str) -> None:
    gate.put(**NOBODY)
    gate.closes(net.ana, net.ben)
    assert not pings(net.ana, net.ben.address)
    net.ana.misses("ben", within=WITHIN)
    gate.put(**OPEN[kind])
    gate.opens(net.ana, net.ben)
    assert pings(net.ana, net.ben.address)


def test_other_ports_stay_closed_while_the_peer_is_in_sight(net: Net, gate: Gate) -> None:
    gate.put(acls=[accept("lab@", "lab@:22")])
    gate.closes(net.ana, net.ben)
    assert net.ana.sees("ben", online=True)
    gate.put(acls=[accept("lab@", f"lab@:22,{PORT}")])
    gate.opens(net.ana, net.ben)


def test_a_tag_lets_in_when_it_is_put_on(net: Net, gate: Gate, guests: Guests) -> None:
    guest = guests.join("server")
    guest.offer("hello")
    gate.put(acls=[accept("lab@", f"tag:web:{PORT}")])
    gate.closes(net.ana, guest)
    assert not connects(net.ana, net.ben.address, PORT), "another device of the same user is not tagged"
    net.server.admin("nodes", "tag", "server", "--tags", "tag:web")
    gate.opens(net.ana, guest)
    assert not connects(guest, net.ben.address, PORT), "and the way back is not open"


def test_nobody_hears_of_a_node_the_policy_hides(net: Net, gate: Gate, guests: Guests) -> None:
    gate.put(acls=[accept("lab@", "autogroup:self:*")])
    key = net.server.create_key("lab", "--tags", "tag:web")
    guest = guests.join("hidden", key=key)
    net.ana.sees("ben", online=True)
    assert "hidden" not in net.ana.peers() and not guest.peers()
    log = net.ana.daemon.text()
    assert (
        guest.address not in log
        and guest.status()["Self"]["PublicKey"].removeprefix("nodekey:")[:16] not in log
    )


def test_ipv4_can_be_taken_from_a_node(net: Net, gate: Gate, guests: Guests) -> None:
    guest = guests.join("sixonly", key=net.server.create_key("lab", "--tags", "tag:web"))
    assert len(guest.addresses) == 2
    gate.put(nodeAttrs=[{"target": ["tag:web"], "attr": ["disable-ipv4"]}])
    eventually(lambda: len(guest.addresses) == 1, WITHIN, "the node has one address")
    assert ":" in guest.addresses[0]
    ips = eventually(
        lambda: len(found := net.ana.sees("sixonly")["TailscaleIPs"]) == 1 and found, WITHIN, "one"
    )
    assert ":" in ips[0]
    net.ana.ping(guest.addresses[0])
