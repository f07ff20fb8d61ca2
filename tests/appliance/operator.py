"""The operator's machine: an ssh key, an inventory, ansible-playbook."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.appliance.bed import ROOT, Bed
from tests.appliance.machine import Machine
from tests.world.process import Outcome, run

ANSIBLE = ROOT / "ansible"


class Operator:
    """On a host of its own of the bed."""

    def __init__(self, bed: Bed) -> None:
        self.host = bed.host("operator")
        self.home = bed.directory / "operator"
        self.key = self.home / "key"
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)])
        self.environment = {
            **os.environ,
            "HOME": str(self.home),
            "ANSIBLE_CONFIG": str(ANSIBLE / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.home / "a"),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }

    def invite(self, machine: Machine) -> None:
        """What a provider does with the key that was given in its form; before the first boot."""
        machine.lay("/root/.ssh/authorized_keys", self.key.with_suffix(".pub").read_text(), 0o600)

    def ssh(self) -> list[str]:
        return ["-i", str(self.key), "-o", "StrictHostKeyChecking=accept-new",
                "-o", f"UserKnownHostsFile={self.home}/known_hosts"]  # fmt: skip

    def play(
        self, book: str, address: str, *words: str, check: bool = True, relay: str = "", **variables: Any
    ) -> Outcome:
        """`ansible-playbook BOOK` against the machine at the address, and another one for the relay."""
        host = {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_common_args": " ".join(self.ssh()),
        }
        everybody: dict[str, Any] = {"hosts": {"vps": host}, "vars": variables}
        if relay:
            everybody["children"] = {"relays": {"hosts": {"derp": {**host, "ansible_host": relay}}}}
        inventory = self.home / "hosts.yml"
        inventory.write_text(yaml.safe_dump({"all": everybody}))
        command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", str(inventory), *words]
        return run(
            self.host.inside([*command, str(ANSIBLE / book)]), timeout=400, check=check, env=self.environment
        )


def changed(outcome: Outcome) -> int:
    """How many tasks changed something, on all machines, from the recap."""
    found = re.findall(r"changed=(\d+)", outcome.out)
    assert found, outcome.text
    return sum(map(int, found))
