"""What an administrator does to a device: seen on its own machine and by its peers."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.process import eventually

EPHEMERAL = {"inactivity_timeout": "3s"}


@pytest.fixture
def settings(net: Net) -> Iterator[Net]:
    """The laboratory, whose settings are put back."""
    yield net
    net.server.reconfigure()


def is_back(net: Net, guest: Client) -> None:
    guest.wait_until("Running")
    net.ana.sees(guest.name, online=True)
    net.ana.ping(guest.name)


def test_a_key_expires_by_its_date_and_is_renewed_from_afar(net: Net, guests: Guests) -> None:
    guest = guests.join("brief")
    before = guest.addresses
    net.server.admin("nodes", "expire", "brief", "--in", "4s")
    guest.wait_until("NeedsLogin", within=15)
    eventually(lambda: net.ana.peers()["brief"].get("Expired"), 5, "ana sees it expired")
    net.server.admin("nodes", "renew", "brief", "--for", "1h")
    is_back(net, guest)
    assert guest.addresses == before and not net.ana.peers()["brief"].get("Expired")
    net.server.admin("nodes", "expire", "brief", "--disable")
    eventually(lambda: not guest.status()["Self"].get("KeyExpiry"), 5, "brief never expires")


def test_logins_last_as_long_as_configured_and_tagged_ones_for_ever(settings: Net, guests: Guests) -> None:
    net = settings
    net.server.reconfigure(node={"expiry": "180d", "ephemeral": EPHEMERAL})
    guest = guests.join("mortal")
    expiry = time.strptime(guest.status()["Self"]["KeyExpiry"], "%Y-%m-%dT%H:%M:%SZ")
    assert abs(time.mktime(expiry) - time.timezone - time.time() - 180 * 86400) < 86400
    tagged = guests.join("eternal", key=net.server.create_key("lab", "--tags", "tag:server"))
    assert not tagged.status()["Self"].get("KeyExpiry")


def test_a_device_waits_until_it_is_approved(settings: Net, guests: Guests) -> None:
    net = settings
    net.server.reconfigure(node={"approval": True, "ephemeral": EPHEMERAL})
    trusted = guests.join("trusted", key=net.server.create_key("lab", "--preapproved"))
    net.ana.sees("trusted", online=True)
    guest = guests.start("newcomer")
    coming = guest.up_in_background(net.key)
    guest.wait_until("NeedsMachineAuth")
    assert [node["givenName"] for node in net.server.ask("nodes", "list", "--state", "waiting")] == [
        "newcomer"
    ]
    assert guest.peers() == {} and "newcomer" not in net.ana.peers() | trusted.peers()
    net.server.admin("nodes", "approve", "newcomer")
    assert coming.wait(15) == 0, "`tailscale up` had waited"
    is_back(net, guest)
    guest.ping("ana")
    guest.restart()
    is_back(net, guest)


def test_an_address_is_chosen_while_everybody_is_connected(net: Net, guests: Guests) -> None:
    guest = guests.join("mover")
    guest.offer("still mover")
    old = guest.address
    net.ana.ping("mover")
    net.server.admin("nodes", "set-ip", "mover", "100.64.7.7")
    net.server.admin("nodes", "set-ip", "mover", "fd7a:115c:a1e0::7:7")
    eventually(lambda: guest.addresses == ["100.64.7.7", "fd7a:115c:a1e0::7:7"], 5, "mover has its addresses")
    eventually(lambda: net.ana.resolve("mover.mesh.lab") == ["100.64.7.7"], 5, "ana resolves the new address")
    assert net.ana.fetch("http://100.64.7.7:8000/") == "still mover"
    net.ana.host.run("ping", "-c1", "-W5", "fd7a:115c:a1e0::7:7")
    assert old not in str(net.ana.peers()["mover"]["TailscaleIPs"])
    for wrong, code in ((net.ben.address, 5), ("10.0.0.1", 5), ("100.100.100.100", 5), ("seven", 2)):
        refused = net.server.admin("nodes", "set-ip", "mover", wrong, check=False)
        assert refused.code == code and len(refused.text.splitlines()) == 1, refused
    assert guest.addresses[0] == "100.64.7.7"


def test_a_device_changes_hands_and_becomes_tagged_and_a_users_again(net: Net, guests: Guests) -> None:
    guest = guests.join("traded")
    before = guest.addresses
    net.server.admin("users", "create", "heir", check=False)
    net.server.admin("nodes", "move", "traded", "--user", "heir")
    eventually(lambda: owner_of(net.ana, guest.address) == "heir", 5, "ana sees its new owner")
    eventually(lambda: owner_of(guest, guest.address) == "heir", 5, "it knows its new owner")
    net.server.admin("nodes", "tag", "traded", "--tags", "tag:server")
    eventually(lambda: net.ana.peers()["traded"].get("Tags") == ["tag:server"], 5, "ana sees its tag")
    guest.restart()
    is_back(net, guest)
    net.server.admin("nodes", "move", "traded", "--user", "lab")
    eventually(lambda: not net.ana.peers()["traded"].get("Tags"), 5, "ana sees no tag")
    assert owner_of(net.ana, guest.address) == "lab" and guest.addresses == before
    net.ana.ping("traded")


def owner_of(client: Client, address: str) -> str:
    """By `whois`: from 1.100 on `status` shows an owner that is new to it only after its next full map."""
    answer = json.loads(client.cli("whois", "--json", address).out)
    return str(answer["UserProfile"]["LoginName"])


def test_a_machine_switches_between_two_accounts(net: Net, guests: Guests) -> None:
    guest = guests.join("both")
    first = guest.address
    net.server.admin("users", "create", "second", check=False)
    other_key = net.server.create_key("second")
    guest.cli("login", f"--login-server={net.server.url}", f"--auth-key={other_key}", "--hostname=both")
    guest.wait_until("Running")
    second = guest.address
    assert second != first
    net.ana.sees("both-1", online=True)
    net.ana.sees("both", online=False)
    guest.cli("switch", "lab")
    guest.wait_until("Running")
    assert guest.address == first
    net.ana.sees("both", online=True)
    net.ana.sees("both-1", online=False)
    net.ana.ping("both")
    guest.cli("switch", "second")
    guest.wait_until("Running")
    assert guest.address == second
    net.server.admin("nodes", "delete", "both-1", "--yes")


def test_a_copied_machine_harms_nobody_else(net: Net, guests: Guests) -> None:
    guest = guests.join("origin")
    guest.kill()
    clone = guests.start("clone")
    clone.kill()
    shutil.copy(guest.directory / "state", clone.directory / "state")
    before = {name: node["id"] for name, node in net.server.nodes().items()}
    guest.start()
    clone.start()
    time.sleep(5)
    assert {name: node["id"] for name, node in net.server.nodes().items()} == before
    net.ana.ping("ben", within=5)
    net.ben.sees("ana", online=True)
    clone.kill()
    # Thrown out by each other again and again, clients wait up to half a minute between two tries.
    guest.wait_until("Running", within=45)
    is_back(net, guest)


def test_a_copied_machine_that_logs_in_takes_the_nodes_place(net: Net, guests: Guests) -> None:
    """One machine and one owner are one node: the login that came last has it, and nothing is lost."""
    guest = guests.join("twin")
    number, address = net.server.node_id("twin"), guest.address
    clone = guests.start("double")
    clone.kill()
    shutil.copy(guest.directory / "state", clone.directory / "state")
    clone.start()
    clone.cli(
        "up", f"--login-server={net.server.url}", f"--auth-key={net.key}", "--force-reauth", "--hostname=twin"
    )
    clone.wait_until("Running")
    assert clone.address == address and net.server.node_id("twin") == number
    net.ana.ping("twin")
    net.ana.ping("ben", within=5)
