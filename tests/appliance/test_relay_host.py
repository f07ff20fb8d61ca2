"""The playbook with a relay on a machine of its own: its certificate pinned, admission pushed to it."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from tests.appliance.authority import Authority
from tests.appliance.bed import Bed, Server, packages
from tests.appliance.machine import Machine
from tests.appliance.operator import Operator, changed
from tests.world.clients import NEWEST
from tests.world.lab import CONTROL_NAME
from tests.world.process import Outcome

ELSEWHERE_SHOWN = "backup,monitoring"
"""Roles that have nothing to do with where the relay is; test_site.py runs them."""


@dataclass
class Pair:
    bed: Bed
    control: Machine
    relay: Machine
    operator: Operator
    authority: Authority

    def play(self, *words: str, book: str = "site.yml") -> Outcome:
        control, relay = (str(self.bed.network[number]) for number in (2, 6))
        settings = {
            "meshbox_domain": CONTROL_NAME,
            "meshbox_email": "operator@example.net",
            "meshbox_packages": str(packages(lintian=True)[0].parent),
            "meshbox_acme_directory": self.authority.directory_url,
            "meshbox_acme_ca": str(self.authority.trust),
            "selfcheck_ca": str(self.authority.root),
        }
        return self.operator.play(
            book, control, "--skip-tags", ELSEWHERE_SHOWN, *words, relay=relay, **settings
        )


@pytest.fixture(scope="module")
def pair(public_bed: Bed) -> Pair:
    public_bed.serve_mirror()
    authority, operator = Authority(public_bed), Operator(public_bed)
    public_bed.authority = authority.root
    control, relay = (public_bed.machine(name, at, operator.invite) for name, at in (("vps", 2), ("derp", 6)))
    for machine in (control, relay):
        machine.run("apt-get", "update", "-qq")
    public_bed.server = Server(control, f"https://{CONTROL_NAME}")  # type: ignore[assignment]
    return Pair(public_bed, control, relay, operator, authority)


def test_clients_reach_each_other_through_the_other_machine(pair: Pair) -> None:
    pair.play()
    assert pair.control.failed_units() == [] == pair.relay.failed_units()
    assert pair.relay.listening() == {"tcp/22", "tcp/80", "tcp/443", "udp/3478"}
    assert "udp/3478" not in pair.control.listening()
    pair.control.run("meshbox", "users", "create", "lab")
    key = pair.bed.server.create_key("lab", "--reusable")
    for name in ("ana", "ben"):
        pair.bed.client(name, NEWEST).up(key)
        pair.bed.cables[name].block_udp()
    pair.bed.clients["ana"].ping("ben", via="derp", within=40)
    status = json.loads(pair.relay.run("meshbox", "derp", "status", "-o", "json").out)
    assert (status["clients"], status["admitted"]) == (2, 2)


def test_the_second_run_changes_nothing_on_either(pair: Pair) -> None:
    assert changed(pair.play()) == 0
    assert "STUN: answers" in pair.play("--tags", "selfcheck").out, "looked for where the relay is"


def test_both_are_left_as_they_were(pair: Pair) -> None:
    pair.play("-e", "really=yes", "-e", "data=delete", book="uninstall.yml")
    for machine in (pair.control, pair.relay):
        assert machine.listening() == {"tcp/22"}
        assert machine.run("test", "-e", "/etc/meshbox", check=False).code != 0
        assert "meshbox" not in machine.sh("ls /etc/systemd/system")
