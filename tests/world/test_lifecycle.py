"""What happens to nodes is seen by their peers: expiry, logout, deletion, rotation, ephemeral clean-up."""

from __future__ import annotations

from tests.world.net import Guests, Net
from tests.world.process import eventually


def test_expiry_is_seen_and_a_new_login_keeps_the_address(net: Net, guests: Guests) -> None:
    guest = guests.join("mortal")
    before = guest.addresses
    net.ana.ping("mortal")
    net.server.admin("nodes", "expire", "mortal", "--yes")
    guest.wait_until("NeedsLogin")
    eventually(lambda: net.ana.peers()["mortal"].get("Expired"), 5, "ana sees mortal expired")
    guest.up(net.key, "--force-reauth")
    assert guest.addresses == before
    eventually(lambda: not net.ana.peers()["mortal"].get("Expired"), 5, "ana sees mortal alive")
    net.ana.ping("mortal")


def test_logout_is_seen(net: Net, guests: Guests) -> None:
    guest = guests.join("leaver")
    net.ana.sees("leaver", online=True)
    guest.cli("logout")
    eventually(
        lambda: (peer := net.ana.peers().get("leaver")) is None or not peer["Online"], 5, "ana sees leaver go"
    )
    guest.wait_until("NeedsLogin")
    # 1.80 may still be forgetting its settings, and wants to hear of each one that it remembers.
    guest.up(net.key, "--reset")
    guest.ping("ana")


def test_deletion_is_seen_by_the_peer_and_by_the_node(net: Net, guests: Guests) -> None:
    guest = guests.join("doomed")
    net.ana.sees("doomed", online=True)
    net.server.admin("nodes", "delete", "doomed", "--yes")
    net.ana.misses("doomed", within=2)
    assert "doomed" not in net.server.nodes()
    guest.wait_until("NeedsLogin", within=30)


def test_an_ephemeral_node_vanishes_when_it_is_gone(net: Net, guests: Guests) -> None:
    key = net.server.create_key("lab", "--reusable", "--ephemeral")
    guest = guests.join("mayfly", key=key)
    net.ana.sees("mayfly", online=True)
    guest.kill()
    net.ana.misses("mayfly", within=10)
    assert "mayfly" not in net.server.nodes()


def test_an_ephemeral_node_vanishes_at_once_on_logout(net: Net, guests: Guests) -> None:
    key = net.server.create_key("lab", "--ephemeral")
    guest = guests.join("moth", key=key)
    net.ana.sees("moth", online=True)
    guest.cli("logout")
    net.ana.misses("moth", within=2)


def test_a_new_node_key_keeps_the_node_and_the_peer_follows(net: Net, guests: Guests) -> None:
    guest = guests.join("rotating")
    before, number = guest.status()["Self"], net.server.node_id("rotating")
    net.ana.ping("rotating")
    guest.up(net.key, "--force-reauth")
    after = eventually(
        lambda: (me := guest.status()["Self"])["PublicKey"] != before["PublicKey"] and me,
        15,
        "a new node key",
    )
    assert after["TailscaleIPs"] == before["TailscaleIPs"]
    assert net.server.node_id("rotating") == number
    eventually(
        lambda: net.ana.sees("rotating")["PublicKey"] == after["PublicKey"], 5, "ana has the new node key"
    )
    net.ana.ping("rotating")
    guest.ping("ana")


def test_a_tagged_key_makes_a_tagged_node(net: Net, guests: Guests) -> None:
    key = net.server.create_key("lab", "--tags", "tag:server")
    guest = guests.join("tagged", key=key)
    assert guest.status()["Self"]["Tags"] == ["tag:server"]
    assert net.ana.sees("tagged")["Tags"] == ["tag:server"]
    guest.restart()
    guest.wait_until("Running")
