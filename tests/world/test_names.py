"""Names: MagicDNS on a machine with nothing but resolv.conf, and what host names become."""

from __future__ import annotations

from tests.world.net import Guests, Net
from tests.world.process import eventually


def test_a_peer_is_resolved_and_reached_by_name(net: Net) -> None:
    net.ben.offer("this is ben")
    eventually(lambda: net.ana.resolve("ben.mesh.lab"), 10, "ana resolves ben.mesh.lab")
    assert net.ben.address in net.ana.resolve("ben.mesh.lab")
    assert net.ana.fetch("http://ben.mesh.lab:8000/") == "this is ben"
    assert net.ana.fetch("http://ben:8000/") == "this is ben", "the search domain is set"
    assert net.ana.resolve("nobody.mesh.lab") == []


def test_host_names_become_labels_and_do_not_collide(net: Net, guests: Guests) -> None:
    for name in ("mini-a", "mini-b"):
        guest = guests.start(name, on=net.lab.host(name, hostname="Joe's Mac mini"))
        guest.cli("up", f"--login-server={net.server.url}", f"--auth-key={net.key}")
    net.ana.sees("joes-mac-mini", online=True)
    net.ana.sees("joes-mac-mini-1", online=True)
    for given in ("joes-mac-mini", "joes-mac-mini-1"):
        net.server.admin("nodes", "delete", given, "--yes")


def test_a_rename_is_seen_and_resolved_and_survives_the_host_name(net: Net, guests: Guests) -> None:
    guest = guests.join("oldname")
    net.ana.sees("oldname")
    net.server.admin("nodes", "rename", "oldname", "newname")
    net.ana.sees("newname", within=2)
    net.ana.misses("oldname", within=2)
    eventually(lambda: guest.address in net.ana.resolve("newname.mesh.lab"), 5, "ana resolves the new name")
    guest.restart()
    guest.wait_until("Running")
    net.ana.sees("newname", online=True)
    assert "oldname" not in net.ana.peers()
