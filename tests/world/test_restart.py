"""The server goes away and comes back: politely, and in the middle of work."""

from __future__ import annotations

import time

from tests.world.clients import Client, Wish
from tests.world.net import Guests, Net
from tests.world.process import LabError, eventually

COMERS = 8


def test_a_restart_with_sessions_open_loses_nothing(net: Net, guests: Guests) -> None:
    guest = guests.join("witness")
    everyone = (net.ana, net.ben, guest)
    addresses = [client.addresses for client in everyone]
    nodes = {name: node["id"] for name, node in net.server.nodes().items()}
    net.ana.ping("ben")

    assert net.server.stop() == 0
    time.sleep(3)
    net.ana.ping("ben", within=5)  # the tunnels do not need us
    net.server.start()

    for client in everyone:
        for other in everyone:
            if other is not client:
                client.sees(other.name, online=True, within=15)
    assert [client.addresses for client in everyone] == addresses
    assert {name: node["id"] for name, node in net.server.nodes().items()} == nodes
    net.ana.ping("ben")
    net.ana.ping("witness")
    late = guests.join("latecomer")
    late.ping("ana")


def _running(client: Client) -> bool:
    """Has it joined? A daemon that has only just started answers nothing."""
    try:
        return bool(client.status()["BackendState"] == "Running")
    except LabError:
        return False


def test_kill_during_registrations_keeps_every_acknowledged_node(net: Net, guests: Guests) -> None:
    """Nodes that were told they are in must be in after a power cut; the others get in afterwards."""
    host = net.lab.host("crowd-of-comers")
    comers = [
        guests.start(f"comer{number}", on=host, wish=Wish(tun=False, port=0)) for number in range(COMERS)
    ]
    ups = [client.up_in_background(net.key) for client in comers]
    eventually(lambda: sum(map(_running, comers)) >= 2, 30, "two comers are in", every=0.02)
    net.server.kill()
    acknowledged = {client.name: client.addresses for client in comers if _running(client)}
    assert acknowledged
    net.server.start()

    nodes = net.server.nodes()
    for name, addresses in acknowledged.items():
        assert name in nodes, f"{name} was acknowledged and is lost"
        assert nodes[name]["ipAddresses"] == addresses
    for client, up in zip(comers, ups, strict=True):
        assert up.wait(40) == 0, client.daemon.tail()
        net.ana.sees(client.name, online=True, within=20)
    given = [address for node in net.server.nodes().values() for address in node["ipAddresses"]]
    assert len(given) == len(set(given)), "no address is given twice"
