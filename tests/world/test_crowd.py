"""Twenty nodes: all of them see all of them."""

from __future__ import annotations

from tests.world.clients import Wish
from tests.world.net import Guests, Net

CROWD = 18  # and ana and ben


def test_twenty_nodes_see_each_other(net: Net, guests: Guests) -> None:
    host = net.lab.host("crowd")
    crowd = [guests.start(f"node{number}", on=host, wish=Wish(tun=False, port=0)) for number in range(CROWD)]
    ups = [client.up_in_background(net.key) for client in crowd]
    for client, up in zip(crowd, ups, strict=True):
        assert up.wait(60) == 0, client.daemon.tail()
    everyone = [net.ana, net.ben, *crowd]
    names = {client.name for client in everyone}
    for client in everyone:
        for name in names - {client.name}:
            client.sees(name, online=True, within=15)
    assert len({client.address for client in everyone}) == len(everyone)
    for first, second in zip(crowd, crowd[1:] + crowd[:1], strict=True):
        first.ping(second.name)
    net.ana.ping(crowd[-1].name, via="direct", within=30)
