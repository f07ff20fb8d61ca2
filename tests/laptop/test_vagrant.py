"""`make deb && vagrant up` of docs/install.md: one virtual machine, and two official clients join."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from tests.appliance.bed import Bed
from tests.laptop.laptop import ADDRESS, UP_WITHIN, Laptop
from tests.world.clients import NEWEST, Build, Client, Wish


@pytest.fixture(scope="module")
def laptop() -> Iterator[Laptop]:
    bed = Bed(public=False)
    try:
        laptop = Laptop(bed)
        yield laptop
        laptop.close()
    finally:
        bed.close()


def recap(said: str) -> dict[str, int]:
    """The last line of the playbook, {"ok": 68, "changed": 29, ...}."""
    return {word: int(count) for word, count in re.findall(r"(\w+)=(\d+)", said.split("PLAY RECAP")[1])}


def test_up(laptop: Laptop) -> None:
    began = time.monotonic()
    counted = recap(laptop.vagrant("up", "--provider", "libvirt", within=UP_WITHIN))
    print(f"vagrant up: {time.monotonic() - began:.0f} s, {counted}")
    assert counted["failed"] == 0 and counted["changed"] > 20


def test_two_clients_that_trust_its_authority_reach_each_other(laptop: Laptop) -> None:
    authority = laptop.project / ".vagrant" / "papers" / "authority.crt"
    trust = {"SSL_CERT_FILE": str(authority), "SSL_CERT_DIR": str(Path("/nonexistent"))}
    laptop.vagrant("ssh", "-c", "sudo meshbox users create me")
    made = laptop.vagrant("ssh", "-c", "sudo meshbox preauthkeys create --user me --reusable -o json")
    # What the command says to people comes behind what it says to programs.
    key = json.JSONDecoder().raw_decode(made[made.index("{") :])[0]["key"]
    clients = []
    for number, name in enumerate(("ana", "ben"), start=20):
        host = laptop.plug(name, IPv4Interface(f"192.168.56.{number}/24"))
        client = Client(name, host, Build(NEWEST), f"https://{ADDRESS}", Wish(environment=trust))
        laptop.bed.clients[name] = client.start()
        clients.append(client.up(key))
    clients[0].ping("ben")


def test_provisioning_again_changes_nothing(laptop: Laptop) -> None:
    counted = recap(laptop.vagrant("provision", within=UP_WITHIN))
    assert (counted["failed"], counted["changed"]) == (0, 0)
