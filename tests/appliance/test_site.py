"""A bare Debian becomes the appliance by ansible/site.yml over ssh, and lives: certificate from an authority,
relay behind the same port, firewall, renewal, upgrade, kill, reboot, backup and a second machine.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.appliance.authority import Authority
from tests.appliance.bed import Bed, Server, packages, shown_certificate
from tests.appliance.figures import measured
from tests.appliance.machine import Machine
from tests.appliance.operator import Operator, changed
from tests.appliance.prometheus import Prometheus
from tests.world.clients import NEWEST, Client
from tests.world.lab import CONTROL_NAME
from tests.world.process import Daemon, eventually

URL = f"https://{CONTROL_NAME}"
LOAD = Path(__file__).with_name("load.py")
AIM = 300.0
"""Seconds from a bare machine to two connected clients."""

PREVIOUS = {"noble": "0fea6d20f80f"}.get(os.environ.get("MESHBOX_DISTRIBUTION", ""), "d3aefb6dfaed")
"""The commit whose packages are upgraded from. Its map says the same of the relay, see test_relaymap.py. On
Ubuntu 24.04 it is the first that can be installed there."""

SCAN = """
import concurrent.futures, socket, sys
def open_(port):
    try:
        socket.create_connection((sys.argv[1], port), 1.0).close()
        return port
    except OSError:
        return 0
with concurrent.futures.ThreadPoolExecutor(256) as pool:
    found = pool.map(open_, [*range(1, 1100), 3000, 3478, 5432, 8080, 8443, 9090, 9100, 9586, 10000])
    print(*sorted(port for port in found if port))
"""


@dataclass(slots=True)
class Site:
    """The machine, who runs it, and who certifies it."""

    bed: Bed
    vps: Machine
    operator: Operator
    authority: Authority
    watch: Prometheus

    @property
    def address(self) -> str:
        return str(self.bed.network[2])

    @property
    def ana(self) -> Client:
        return self.bed.clients["ana"]

    @property
    def ben(self) -> Client:
        return self.bed.clients["ben"]

    def play(self, *words: str, book: str = "site.yml", packages_: Path, check: bool = True, **more: object):  # type: ignore[no-untyped-def]
        settings = {
            "meshbox_domain": CONTROL_NAME,
            "meshbox_email": "operator@example.net",
            "meshbox_packages": str(packages_),
            "meshbox_acme_directory": self.authority.directory_url,
            "meshbox_acme_ca": str(self.authority.trust),
            "selfcheck_ca": str(self.authority.root),
            "monitoring_from": [self.watch.address],
            "monitoring_files_to": str(self.watch.files),
        }
        return self.operator.play(book, self.address, *words, check=check, **{**settings, **more})

    def relayed(self, blocked: bool) -> None:
        """Whether the two clients can only reach each other through the relay."""
        for name in ("ana", "ben"):
            cable = self.bed.cables[name]
            cable.block_udp() if blocked else cable.allow_udp()

    def well(self) -> bool:
        return self.vps.run("meshbox", "health", check=False).code == 0

    def certificate(self) -> str:
        return shown_certificate(self.operator.host)


@pytest.fixture(scope="module")
def before() -> Path:
    """Directory of the packages of an earlier commit."""
    return packages(version="0.1.0-0~previous", ref=PREVIOUS)[0].parent


@pytest.fixture(scope="module")
def now() -> Path:
    """Directory of the packages of this tree."""
    return packages(lintian=True)[0].parent


@pytest.fixture(scope="module")
def site(public_bed: Bed, before: Path, now: Path) -> Site:
    bed = public_bed
    bed.serve_mirror()
    authority = Authority(bed)
    operator = Operator(bed)
    bed.authority = authority.root
    vps = bed.machine("vps", 2, operator.invite)
    bed.server = Server(vps, URL)  # type: ignore[assignment]
    return Site(bed, vps, operator, authority, Prometheus(bed))


def test_mistakes_are_said_before_anything_is_changed(site: Site, before: Path) -> None:
    said = site.play(packages_=before, check=False, meshbox_domain="", selfcheck_enabled=False)
    assert said.code != 0 and "Set meshbox_domain" in said.out and changed(said) == 0
    said = site.play(packages_=site.operator.home, check=False)
    assert said.code != 0 and "make deb" in said.out and changed(said) == 0
    site.play("--check", packages_=before)
    assert site.vps.run("dpkg", "-s", "meshbox", check=False).code != 0


def test_from_a_bare_server_to_two_connected_clients(site: Site, before: Path) -> None:
    began = time.monotonic()
    site.play(packages_=before)
    served = time.monotonic()
    site.vps.run("meshbox", "users", "create", "lab")
    key = site.bed.server.create_key("lab", "--reusable")
    for name in ("ana", "ben"):
        site.bed.client(name, NEWEST).up(key)
    site.ana.ping("ben", via="direct")
    took = time.monotonic() - began
    measured(
        f"bare server to two connected clients: {took:.0f} s, of which the playbook {served - began:.0f} s"
    )
    assert took < AIM
    assert site.vps.failed_units() == []


def test_through_the_relay_on_port_443(site: Site) -> None:
    site.relayed(True)
    site.ana.ping("ben", via="derp")
    status = json.loads(site.vps.run("meshbox", "derp", "status", "-o", "json").out)
    assert status["clients"] >= 2
    held = site.vps.sh("ss -Htnp state established '( sport = :443 )'")
    relay = site.vps.sh("systemctl show -P MainPID meshbox-derp")
    assert f"pid={relay}," in held
    site.relayed(False)


def test_the_second_run_changes_nothing(site: Site, before: Path) -> None:
    assert changed(site.play(packages_=before)) == 0
    assert changed(site.play("--check", "--diff", packages_=before)) == 0


def test_only_the_intended_ports_answer(site: Site) -> None:
    found = site.operator.host.run(sys.executable, "-c", SCAN, site.address, timeout=60).out.split()
    assert found == ["22", "80", "443"]
    figures = {"tcp/9586", "tcp/9100"}
    assert site.vps.listening() == {"tcp/22", "tcp/80", "tcp/443", "udp/3478", *figures}


def test_a_firewall_that_locks_out_takes_itself_back(site: Site, before: Path) -> None:
    said = site.play("--tags", "firewall", packages_=before, check=False,
                     firewall_ssh_from=["198.51.100.7"], firewall_patience=14)  # fmt: skip
    assert said.code != 0
    back = eventually(lambda: site.operator.host.run(
        "ssh", *site.operator.ssh(), "-o", "ConnectTimeout=2", f"root@{site.address}", "true", check=False
    ).code == 0, 30, "ssh is let in again")  # fmt: skip
    assert back
    assert "198.51.100.7" not in site.vps.run("nft", "list", "ruleset").out
    assert "appliance" in site.vps.run("nft", "list", "ruleset").out
    # The first rules a machine ever gets have none before them to go back to.
    site.vps.sh("cd /etc/appliance-firewall; mv rules.nft kept.nft; appliance-firewall try 2")
    assert "198.51.100.7" in site.vps.run("nft", "list", "ruleset").out
    eventually(lambda: "appliance" not in site.vps.run("nft", "list", "ruleset").out, 15, "no rules are left")
    site.vps.sh("cd /etc/appliance-firewall; mv kept.nft rules.nft; appliance-firewall start")


def test_a_renewal_drops_no_session(site: Site) -> None:
    # A fresh certificate is kept for an hour, whatever the authority says: let this one be old.
    site.vps.run("systemctl", "stop", "meshbox.service")
    site.vps.sh('sed -i \'s/"obtained_at": [0-9.]*/"obtained_at": 1.0/\' /var/lib/meshbox/acme/standing.json')
    site.vps.run("systemctl", "start", "meshbox.service")
    site.ana.sees("ben", online=True, within=30)
    first = site.certificate()
    shown = site.bed.directory / "shown.pem"
    shown.write_text(first)
    errors = site.ana.daemon.text().count("PollNetMap")
    site.authority.wants_renewal(shown)
    site.vps.run("systemctl", "reload", "meshbox")
    eventually(lambda: site.certificate() != first, 60, "a new certificate is shown", every=1)
    site.ana.ping("ben")
    assert site.ana.daemon.text().count("PollNetMap") == errors


def test_an_upgrade_loses_no_packet_to_the_relay_and_refuses_nobody(site: Site, now: Path) -> None:
    site.relayed(True)
    site.ana.ping("ben", via="derp")
    old = site.vps.run("dpkg-query", "-W", "meshbox").out
    pings = site.bed.directory / "pings"
    ping = Daemon("ping", pings)
    ping.start(site.ana.host.inside(["ping", "-n", "-i", "0.1", site.ben.address]))
    load = Daemon("load", site.bed.directory / "load")
    load.start(site.operator.host.inside(
        [sys.executable, str(LOAD), f"{URL}/health", "30", str(site.authority.root)]))  # fmt: skip
    began = time.monotonic()
    said = site.play("--tags", "meshbox", packages_=now)
    took = time.monotonic() - began
    ping.stop(signal.SIGINT)
    eventually(lambda: not load.alive, 60, "the load ends")
    seen = json.loads(load.text())
    measured(f"upgrade: {took:.0f} s; {seen}; {pings.read_text().strip().splitlines()[-2]}")
    assert site.vps.run("dpkg-query", "-W", "meshbox").out != old and changed(said) > 0
    assert " 0% packet loss" in pings.read_text()
    assert seen["failures"] == {} and seen["answered"] > 100
    assert site.ana.ping("ben", via="derp")
    assert list(site.vps.sh("ls /var/lib/meshbox").split())


def test_the_console_serves_out_of_the_sandbox(site: Site) -> None:
    key = site.bed.server.admin("apikeys", "create").out.strip()
    kept, console = str(site.bed.directory / "cookies"), f"{URL}/console"

    def fetch(url: str, *fields: str) -> str:
        form = [word for field in fields for word in ("--data-urlencode", field)]
        curl = ("curl", "-fsSL", "--cacert", str(site.authority.root), "-b", kept, "-c", kept)
        return site.operator.host.run(*curl, *form, url).out

    assert "All is well" in fetch(f"{console}/enter", f"key={key}")
    shown = fetch(f"{console}/machines?q=ana")
    assert ">ana</a>" in shown and ">ben</a>" not in shown
    token = re.search(r'name="form_token" value="([^"]+)"', shown)
    assert token
    # Which is the work of another process.
    checked = fetch(f"{console}/access", f"form_token={token[1]}", "act=policy.check", 'policy={"acls": []}')
    assert "It is not saved yet" in checked


def test_prometheus_reads_what_the_playbook_wrote_for_it(site: Site) -> None:
    assert "SUCCESS" in site.watch.check_rules()
    site.watch.start()
    site.watch.reads_both()
    assert site.watch.unknown() == set()
    # A round of rules before the first figures came misses the backup's; the next one does not.
    eventually(site.watch.is_quiet, 20, "all rules are evaluated, and none has anything to say")
    wrong = "/etc/meshbox/conf.d/99-wrong.yaml"
    site.vps.sh(f"echo nonsense: 1 > {wrong}; systemctl reload meshbox")
    refused = "MeshboxSettingsRefused"
    eventually(lambda: site.watch.alerts()[refused] == "pending", 20, "a refused reload is an alert")
    site.vps.sh(f"rm {wrong}; systemctl reload meshbox")
    eventually(site.watch.is_quiet, 20, "which ends when it is mended")
    site.vps.run("systemctl", "stop", "meshbox.socket", "meshbox.service")
    eventually(lambda: site.watch.alerts()["MeshboxDown"] == "pending", 20, "it is missed")
    site.vps.run("systemctl", "start", "meshbox.socket", "meshbox.service")
    site.watch.reads_both()


def test_each_service_comes_back_from_a_kill(site: Site) -> None:
    for unit in ("meshbox-derp", "meshbox"):
        site.vps.run("systemctl", "kill", "--signal=KILL", f"{unit}.service")
        eventually(site.well, 20, f"all is well after a kill of {unit}")
        site.ana.ping("ben", via="derp", within=40)
    site.relayed(False)
    assert site.vps.failed_units() == []


def test_after_a_reboot_everything_is_there(site: Site) -> None:
    site.vps.reboot()
    eventually(site.well, 20, "it serves")
    assert site.vps.failed_units() == []
    assert "policy drop" in site.vps.run("nft", "list", "table", "inet", "appliance").out
    site.ana.sees("ben", online=True, within=60)
    site.ana.ping("ben", within=40)


def test_a_second_machine_takes_over_from_a_backup(site: Site, now: Path) -> None:
    addresses = site.ana.addresses
    archive = site.vps.run("meshbox", "backup", "create").out.strip()
    kept = site.bed.directory / "kept"
    kept.mkdir()
    with (kept / "backup").open("wb") as file:
        subprocess.run(site.vps.inside("cat", archive), stdout=file, check=True)
    site.vps.close()
    site.bed.cables["vps"].pull()
    began = time.monotonic()
    second = site.bed.machine("second", 2, site.operator.invite)
    site.vps = second
    site.bed.server = Server(second, URL)  # type: ignore[assignment]
    second.run("apt-get", "update", "-qq")
    for file in sorted(now.glob("*.deb")):
        second.put(file, "/srv/debs")
    second.sh("apt-get install -y --no-install-recommends /srv/debs/*.deb")
    second.put(kept, "/srv")
    second.run("meshbox", "backup", "restore", "/srv/kept/backup", "--yes")
    sockets = "meshbox-derp-control.socket meshbox-derp-handover.socket meshbox-derp-stun.socket"
    second.sh(f"systemctl start {sockets} meshbox-derp.service meshbox.socket meshbox.service")
    eventually(site.well, 20, "the second machine serves")
    site.ana.sees("ben", online=True, within=90)
    site.ana.ping("ben", within=60)
    measured(f"a second machine from a backup, clients back: {time.monotonic() - began:.0f} s")
    assert site.ana.addresses == addresses and second.failed_units() == []


def test_uninstalling_takes_away_what_was_brought(site: Site, now: Path) -> None:
    said = site.play(book="uninstall.yml", packages_=now, check=False)
    assert said.code != 0 and "really=yes" in said.out
    site.play("-e", "really=yes", "-e", "data=delete", book="uninstall.yml", packages_=now)
    assert site.vps.listening() == {"tcp/22"}
    assert site.vps.run("test", "-e", "/var/lib/meshbox", check=False).code != 0
    assert "appliance" not in site.vps.run("nft", "list", "ruleset", check=False).out
