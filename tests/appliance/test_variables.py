"""The playbook with other variables: a small machine with the relay inside the server, a certificate from
a file, ssh elsewhere, sealed backups that are fetched.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.appliance.bed import Bed, Server, packages
from tests.appliance.machine import Machine
from tests.appliance.operator import Operator, changed
from tests.world.authority import issue_certificate
from tests.world.clients import NEWEST
from tests.world.lab import CONTROL_NAME
from tests.world.process import Outcome, eventually

SSH_PORT = 2222
DEVICES = "mesh.example.net"

NAME_SERVER = """
import sys, dns.message, dns.query
way, zone, address = sys.argv[1:]
answer = getattr(dns.query, way)(dns.message.make_query(zone, "NS"), address, timeout=5)
print(answer.answer[0][0].target)
"""


@dataclass
class Small:
    bed: Bed
    vps: Machine
    operator: Operator
    settings: dict[str, Any] = field(default_factory=dict)

    def play(self, *words: str, book: str = "site.yml", ssh_port: int) -> Outcome:
        return self.operator.play(
            book, str(self.bed.network[2]), *words, ansible_port=ssh_port, **self.settings
        )


@pytest.fixture(scope="module")
def small(public_bed: Bed) -> Small:
    public_bed.serve_mirror()
    operator = Operator(public_bed)
    vps = public_bed.machine("vps", 2, operator.invite)
    public_bed.server = Server(vps, f"https://{CONTROL_NAME}")  # type: ignore[assignment]
    issued = issue_certificate(public_bed.directory, CONTROL_NAME, public_bed.network[2])
    public_bed.authority = issued.authority
    fetched = public_bed.directory / "fetched"
    fetched.mkdir()
    small = Small(public_bed, vps, operator)
    small.settings = {
        "meshbox_domain": CONTROL_NAME,
        "meshbox_packages": str(packages(lintian=True)[0].parent),
        "meshbox_tls": "files",
        "meshbox_certificate": str(issued.certificate),
        "meshbox_key": str(issued.key),
        "meshbox_relay": "embedded",
        "meshbox_settings": {
            "dns": {"base_domain": "small.example"},
            "acme": {"eab_key_id": "k", "eab_key_path": "/etc/meshbox/eab-key"},
        },
        "meshbox_secrets": {"eab-key": "aGVsbG8"},
        "base_ssh_port": SSH_PORT,
        "base_reboot_at": "",
        "backup_fetch_to": str(fetched),
        "selfcheck_ca": str(issued.authority),
    }
    return small


def test_one_process_serves_and_relays(small: Small) -> None:
    small.play(ssh_port=22)
    assert small.vps.failed_units() == []
    assert small.vps.listening() == {"tcp/80", "tcp/443", "udp/3478", f"tcp/{SSH_PORT}"}
    assert small.vps.run("systemctl", "is-active", "meshbox-derp", check=False).out.strip() == "inactive"
    assert small.vps.sh("stat -c '%a %G' /etc/meshbox/eab-key") == "640 meshbox"
    assert small.vps.run("meshbox", "config", "check").code == 0
    small.vps.run("meshbox", "users", "create", "lab")
    key = small.bed.server.create_key("lab", "--reusable")
    for name in ("ana", "ben"):
        small.bed.client(name, NEWEST).up(key)
        small.bed.cables[name].block_udp()
    small.bed.clients["ana"].ping("ben", via="derp", within=40)
    assert small.bed.clients["ana"].resolve("ben.small.example")


def test_ssh_has_moved_and_the_old_port_is_closed_once_the_play_comes_by_the_new(small: Small) -> None:
    assert changed(small.play(ssh_port=SSH_PORT)) == 3, "rules written, loaded, kept"
    assert changed(small.play(ssh_port=SSH_PORT)) == 0
    rules = small.vps.run("nft", "list", "table", "inet", "appliance").out
    assert re.findall(r"tcp dport (\S+) accept", rules)[0] == str(SSH_PORT)


def test_devices_may_have_certificates(small: Small) -> None:
    small.settings |= {"meshbox_device_domain": DEVICES, "meshbox_settings": {}}
    before = small.vps.listening()
    small.play(ssh_port=SSH_PORT)
    assert small.vps.listening() == before | {"tcp/53", "udp/53"}
    ana = small.bed.clients["ana"]
    eventually(lambda: ana.status().get("CertDomains") == [f"ana.{DEVICES}"], 20, "ana knows its public name")
    for way in ("udp", "tcp"):
        words = (sys.executable, "-c", NAME_SERVER, way, DEVICES, str(small.bed.network[2]))
        assert small.operator.host.run(*words).out == f"{CONTROL_NAME}.\n", way
    assert changed(small.play(ssh_port=SSH_PORT)) == 0
    small.settings["meshbox_device_domain"] = ""
    small.play(ssh_port=SSH_PORT)
    assert small.vps.listening() == before and small.vps.failed_units() == []


def test_backups_are_sealed_and_the_newest_is_fetched(small: Small) -> None:
    public, private = re.findall(r"\bmb-backup-\S+", small.vps.run("meshbox", "backup", "keygen").out)
    small.settings["backup_recipients"] = [public]
    small.play("--tags", "backup", ssh_port=SSH_PORT)
    small.vps.run("systemctl", "start", "meshbox-backup.service")
    small.play("--tags", "backup", ssh_port=SSH_PORT)
    listed = json.loads(small.vps.run("meshbox", "backup", "list", "-o", "json").out)
    newest = Path(small.settings["backup_fetch_to"]) / Path(listed[0]["archive"]).name
    assert "sealed" in newest.name
    small.vps.put(newest, "/srv")
    restore = f"meshbox backup restore /srv/{newest.name} --root /srv/back --key-file -"
    small.vps.run(*restore.split(), stdin=private)
    small.vps.run("cmp", "/srv/back/var/lib/meshbox/noise_private.key", "/var/lib/meshbox/noise_private.key")
