"""How packets travel: directly, through address translators, and through our relay."""

from __future__ import annotations

from tests.world.net import Guests, Net
from tests.world.server import REGION

VIA_RELAY = f"via DERP({REGION})"
LARGE = "x" * 500_000


def test_two_clients_ping_each_other_directly(net: Net) -> None:
    net.ana.ping("ben", via="direct")
    net.ben.ping("ana", via="direct")


def test_two_clients_behind_separate_nats_ping_directly(net: Net, guests: Guests) -> None:
    left, right = (net.lab.router(name) for name in ("router-left", "router-right"))
    one = guests.join("left", behind=left)
    two = guests.join("right", behind=right)
    pong = one.ping("right", via="direct", within=30)
    assert str(right.cable.address) in pong, "the way leads through the other router"
    two.ping("left", via="direct")


def test_two_clients_behind_hard_nats_use_our_relay(net: Net, guests: Guests) -> None:
    left, right = (net.lab.router(name, "hard") for name in ("hard-left", "hard-right"))
    one = guests.join("hardleft", behind=left)
    guests.join("hardright", behind=right)
    assert VIA_RELAY in one.ping("hardright", via="derp")


def test_ping_through_our_relay_when_udp_is_cut(net: Net) -> None:
    net.ana.ping("ben", via="direct")
    net.lab.cables["ana"].block_udp()
    assert VIA_RELAY in net.ana.ping("ben", via="derp", within=30)
    assert VIA_RELAY in net.ben.ping("ana", via="derp", within=30)
    net.lab.cables["ana"].allow_udp()
    net.ana.ping("ben", via="direct", within=60)


def test_a_client_that_never_had_udp_joins_and_carries_data(net: Net, guests: Guests) -> None:
    host = net.lab.host("tcponly")
    net.lab.cables["tcponly"].block_udp()
    guest = guests.start("tcponly", on=host).up(net.key)
    assert VIA_RELAY in guest.ping("ana", via="derp", within=30)
    guest.offer(LARGE)
    assert net.ana.fetch(f"http://{guest.address}:8000/", within=30) == LARGE
