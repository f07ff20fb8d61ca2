"""From a bare Debian to two machines that reach each other, and what a server meets in its life.

The way without a domain: `apt install`, `meshbox setup`, the printed line.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from tests.appliance.bed import ROOT, Bed, Server, packages
from tests.appliance.figures import measured
from tests.appliance.machine import Machine
from tests.appliance.pages import ELSEWHERE, PAGES, commands, elsewhere
from tests.world.clients import NEWEST, Client
from tests.world.process import Daemon, eventually

LINE = re.compile(r"^    (tailscale up --login-server \S+ --auth-key mb-auth-\w+-\w+)$", re.MULTILINE)
INSTALL = "apt-get install -y --no-install-recommends"
EXPOSURE = {
    "meshbox": 1.2,
    "meshbox-derp": 0.3,
    "meshbox-backup": 0.5,
    "meshbox-offsite": 1.2,
    "meshbox-derp-refresh": 2.0,
}
LOAD = Path(__file__).with_name("load.py")


@pytest.fixture(scope="module")
def vps(private_bed: Bed) -> Machine:
    private_bed.serve_mirror()
    machine = private_bed.machine("vps", 2)
    machine.run("apt-get", "update", "-qq")
    for file in packages(lintian=True):
        machine.put(file, "/srv/debs")
    return machine


@pytest.fixture(scope="module")
def url(private_bed: Bed) -> str:
    return f"http://{private_bed.network[2]}"


@pytest.fixture(scope="module")
def ana(private_bed: Bed) -> Client:
    return private_bed.clients["ana"]


def is_active(machine: Machine, unit: str = "meshbox.service") -> bool:
    return machine.run("systemctl", "is-active", unit, check=False).out.strip() == "active"


def test_a_bare_machine_takes_the_packages_and_nothing_fails(vps: Machine) -> None:
    measured("on " + vps.sh(". /etc/os-release; echo $PRETTY_NAME"))
    before = vps.listening()
    said = vps.sh(f"{INSTALL} /srv/debs/meshbox_*.deb /srv/debs/meshbox-common_*.deb 2>&1")
    assert "Next: meshbox setup" in said
    assert vps.failed_units() == [] and vps.listening() == before
    vps.run("systemctl", "start", "meshbox.service")
    assert not is_active(vps) and vps.failed_units() == []
    assert "man" not in vps.run("meshbox", "health", check=False).out
    assert vps.sh("dpkg-query -W -f '${Conffiles}' meshbox meshbox-common") == ""


def test_the_units_are_sound_and_sealed(vps: Machine) -> None:
    units = vps.sh("cd /usr/lib/systemd/system; ls meshbox*")
    # The manual page is installed, man itself is not: nothing but its name can be checked here.
    assert (
        vps.sh(f"cd /usr/lib/systemd/system; systemd-analyze verify --man=no {' '.join(units.split())} 2>&1")
        == ""
    )
    for name, limit in EXPOSURE.items():
        if f"{name}.service" in units.split():
            vps.run(
                "systemd-analyze",
                "security",
                "--offline=yes",
                f"--threshold={limit * 10:.0f}",
                f"{name}.service",
            )


def test_setup_says_what_is_wrong(vps: Machine) -> None:
    said = vps.run("meshbox", "setup", "--domain", "a b", check=False)
    assert said.code == 2 and "mesh.example.com" in said.err
    said = vps.run(
        "meshbox", "setup", "--domain", "mesh.example.com", "--tls", "files", "--cert", "/x", check=False
    )
    assert said.code == 2 and "wants both" in said.err
    assert vps.run("ls", "/etc/meshbox/conf.d").out == ""


def test_setup_asks_two_things_and_prints_the_line(private_bed: Bed, vps: Machine, url: str) -> None:
    # A terminal, so that it asks; Enter twice takes what it offers: this machine's address, plain http.
    said = vps.run("script", "-qec", "meshbox setup", "/dev/null", stdin="\n\n").out.replace("\r", "")
    line = LINE.search(said)
    assert line and url in line[1], said
    private_bed.server = Server(vps, url)  # type: ignore[assignment]
    for name in ("ana", "ben"):
        client = private_bed.client(name, NEWEST)
        client.cli(*shlex.split(line[1])[1:])
        client.wait_until("Running")
    ana, ben = private_bed.clients["ana"], private_bed.clients["ben"]
    ana.ping("ben", via="direct")
    private_bed.cables["ana"].block_udp()
    ana.ping("ben", via="derp")
    private_bed.cables["ana"].allow_udp()
    assert ben.status()["Self"]["Online"]
    assert vps.listening() == {"tcp/22", "tcp/80", "tcp/443", "udp/3478"}


def test_it_says_where_each_setting_comes_from(vps: Machine) -> None:
    shown = vps.run("meshbox", "config", "show", "--origin").out
    assert "# /etc/meshbox/conf.d/10-setup.yaml, line 3" in shown and "# default" in shown


def test_what_the_pages_say_can_be_typed(vps: Machine) -> None:
    written = [(page, command) for page in PAGES for command in commands(page)]
    assert {elsewhere(command) for _, command in written} == {*ELSEWHERE, None}, "all of the list is needed"
    for page, command in written:
        if elsewhere(command) is None:
            said = vps.run("sh", "-ec", command.replace("[ARCHIVE]", ""), check=False)
            assert said.code == 0, f"docs/{page}.md: {command}\n{said.text}"
        if command.startswith("systemctl stop"):
            vps.sh("systemctl start meshbox.socket meshbox-stun.socket meshbox.service")
    assert "level: debug" in vps.run("meshbox", "config", "show").out
    vps.sh("rm /etc/meshbox/conf.d/70-local.yaml; systemctl reload meshbox; meshbox users delete ana --yes")


def test_backups_on_another_disk_and_sealed(private_bed: Bed, vps: Machine) -> None:
    # The page's commands were typed above.
    vps.run("systemctl", "start", "meshbox-backup.service")
    [plain] = vps.sh("ls /mnt/backups").split()
    assert plain.endswith(".tar.zst")
    pair = vps.run("meshbox", "backup", "keygen").out
    public, private = re.findall(r"\bmb-backup-\S+", pair)
    settings = {"backup": {"directory": "/mnt/backups", "recipients": [public]}}
    vps.run("tee", "/etc/meshbox/conf.d/50-backup.yaml", stdin=json.dumps(settings))
    vps.run("systemctl", "reload", "meshbox.service")
    vps.run("systemctl", "start", "meshbox-backup.service")
    sealed = "/mnt/backups/" + vps.sh("ls /mnt/backups | grep sealed")
    assert vps.run("meshbox", "backup", "restore", sealed, "--root", "/srv/back", check=False).code == 17
    vps.run("meshbox", "backup", "restore", sealed, "--root", "/srv/back", "--key-file", "-", stdin=private)
    for kept in ("/var/lib/meshbox/noise_private.key", "/etc/meshbox/conf.d/50-backup.yaml"):
        vps.run("cmp", f"/srv/back{kept}", kept)
    assert vps.failed_units() == []
    vps.sh("rm -r /etc/systemd/system/meshbox-backup.service.d /etc/meshbox/conf.d/50-backup.yaml")
    vps.sh("rm -r /srv/back /mnt/backups /var/lib/meshbox-webroot  # what the pages had made")
    vps.sh("systemctl daemon-reload; systemctl reload meshbox; systemctl start meshbox-backup.service")


def test_an_ordinary_user_is_told_how_to_become_administrator(vps: Machine) -> None:
    vps.run("useradd", "eve")
    refused = vps.run("runuser", "-u", "eve", "--", "meshbox", "nodes", "list", check=False)
    assert refused.code == 4 and "group" in refused.err
    vps.run("usermod", "-aG", "meshbox", "eve")
    assert vps.run("runuser", "-u", "eve", "--", "meshbox", "nodes", "list").code == 0


def test_a_restart_refuses_nobody(private_bed: Bed, vps: Machine, url: str, ana: Client) -> None:
    daemon = Daemon("load", private_bed.directory / "load")
    daemon.start(ana.host.inside([sys.executable, str(LOAD), f"{url}/health", "8"]))
    for _ in range(3):
        time.sleep(1.0)
        vps.run("systemctl", "restart", "meshbox.service")
    eventually(lambda: not daemon.alive, 30, "the load ends")
    seen = json.loads(daemon.text())
    measured(f"three restarts: {seen}")
    assert seen["failures"] == {} and seen["answered"] > 100


def test_it_comes_back_from_a_kill_and_from_hanging(vps: Machine, ana: Client) -> None:
    vps.run("systemctl", "kill", "--signal=KILL", "meshbox.service")
    eventually(lambda: vps.run("meshbox", "health", check=False).code == 0, 15, "it is back after a kill")
    drop_in = "/run/systemd/system/meshbox.service.d"
    vps.sh(f"mkdir -p {drop_in}; printf '[Service]\\nWatchdogSec=2s\\n' > {drop_in}/test.conf")
    vps.sh("systemctl daemon-reload; systemctl restart meshbox")
    restarts = vps.sh("systemctl show -P NRestarts meshbox")
    vps.run("systemctl", "kill", "--signal=STOP", "meshbox.service")
    eventually(lambda: vps.sh("systemctl show -P NRestarts meshbox") != restarts, 20, "the watchdog bites")
    eventually(lambda: vps.run("meshbox", "health", check=False).code == 0, 15, "it is back after hanging")
    vps.sh("rm -r /run/systemd/system/meshbox.service.d; systemctl daemon-reload; systemctl restart meshbox")
    ana.sees("ben", online=True, within=40)


def test_a_policy_is_looked_through_inside_the_sandbox(vps: Machine, ana: Client) -> None:
    open_to_all = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
    refused = vps.run(
        "meshbox", "policy", "set", "-", stdin=open_to_all.replace("accept", "acept"), check=False
    )
    assert refused.code == 2 and "acept" in refused.err, refused.text
    vps.run("meshbox", "policy", "set", "-", stdin=open_to_all)
    assert vps.run("meshbox", "policy", "get").out.strip() == open_to_all
    ana.ping("ben")


def test_a_policy_and_records_may_be_kept_outside_etc(vps: Machine, ana: Client) -> None:
    def put(path: str, value: object) -> None:
        vps.run("sh", "-c", f"cat > {path}.new && mv {path}.new {path}", stdin=json.dumps(value))

    def listen(place: str) -> None:
        settings = {"policy": {"path": f"{place}/policy.hujson"},
                    "dns": {"extra_records_path": f"{place}/records.json"}}  # fmt: skip
        put("/etc/meshbox/conf.d/60-elsewhere.yaml", settings)

    before = vps.run("meshbox", "policy", "get").out
    home, place = "/root", "/srv/tailnet"
    vps.run("mkdir", place)
    everybody = {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:member:*"]}
    put(f"{place}/policy.hujson", {"acls": [everybody]})
    put(f"{place}/records.json", [])
    listen(place)
    vps.run("systemctl", "reload", "meshbox.service")
    assert "autogroup" in vps.run("meshbox", "policy", "get").out
    ana.ping("ben")
    record = {"name": "wiki.meshbox.internal", "type": "A", "value": "100.64.0.77"}
    put(f"{place}/records.json", [record])
    eventually(lambda: ana.resolve(record["name"]) == [record["value"]], 10, "the record is answered")
    vps.run("cp", "-r", place, home)
    vps.run("chmod", "0600", f"{place}/records.json")
    listen(f"{home}/tailnet")
    refused = vps.run("meshbox", "config", "check", check=False)
    assert refused.code == 10 and refused.err.count("is in /root, where the service sees nothing") == 2
    vps.run("systemctl", "reload", "meshbox.service")
    warned = [
        f"policy: {home}/tailnet/policy.hujson: the policy file cannot be read: Permission denied",
        f"records: {home}/tailnet/records.json cannot be read: Permission denied",
    ]
    eventually(lambda: all(text in vps.run("meshbox", "health").err for text in warned), 5, "health says it")
    vps.run("systemctl", "restart", "meshbox.service")
    assert "autogroup" in vps.run("meshbox", "policy", "get").out, "the last good one serves"
    listen(place)
    refused = vps.run("meshbox", "config", "check", check=False)
    assert f"`chgrp meshbox {place}/records.json && chmod g+r {place}/records.json`" in refused.err
    vps.run("chgrp", "meshbox", f"{place}/records.json")
    vps.run("chmod", "g+r", f"{place}/records.json")
    vps.run("meshbox", "config", "check")
    vps.run("systemctl", "reload", "meshbox.service")
    eventually(lambda: vps.run("meshbox", "health").err.strip() == "healthy", 5, "all is well")
    eventually(lambda: ana.resolve(record["name"]) == [record["value"]], 10, "and again")
    vps.sh(f"rm -r {home}/tailnet {place} /etc/meshbox/conf.d/60-elsewhere.yaml")
    vps.sh("systemctl reload meshbox")
    vps.run("meshbox", "policy", "set", "-", stdin=before)


def test_a_secret_may_be_a_credential(vps: Machine) -> None:
    # The page's commands were typed above.
    oidc = {"issuer": "https://127.0.0.1:1", "client_id": "x",
            "client_secret_path": "${CREDENTIALS_DIRECTORY}/oidc-secret"}  # fmt: skip
    vps.run("tee", "/etc/meshbox/conf.d/40-oidc.yaml", stdin=json.dumps({"oidc": oidc}))
    vps.run("meshbox", "config", "check")
    vps.run("systemctl", "restart", "meshbox.service")
    eventually(lambda: "sign-in" in vps.run("meshbox", "health").err, 10, "the provider was asked")
    vps.run("systemctl", "start", "meshbox-backup.service")
    assert vps.failed_units() == []
    vps.sh("rm -r /etc/meshbox/conf.d/40-oidc.yaml /etc/systemd/system/meshbox.service.d")
    vps.sh("rm -r /etc/credstore.encrypted")
    vps.sh("systemctl daemon-reload; systemctl restart meshbox")


def test_each_backup_is_copied_elsewhere_by_a_unit_with_a_network(private_bed: Bed, vps: Machine) -> None:
    nas, place = private_bed.outpost("nas", 6), private_bed.directory / "nas" / "archives"
    serve = ["rclone", "serve", "restic", "--addr", f"{private_bed.network[6]}:8000", "--user", "vps"]
    private_bed.start("nas", nas, *serve, "--pass", "not-for-the-journal", str(place))
    vps.run("apt-get", "install", "-y", "--no-install-recommends", "restic")
    vps.sh("printf open-sesame | install -m 0640 -g meshbox /dev/stdin /etc/meshbox/restic-password")
    repository = f"rest:http://vps:not-for-the-journal@{private_bed.network[6]}:8000/"
    offsite = {"repository": repository, "password_path": "/etc/meshbox/restic-password"}
    settings = json.dumps({"backup": {"offsite": offsite}})
    vps.run("sh", "-c", "cat > /etc/meshbox/conf.d/60-offsite.yaml", stdin=settings)
    vps.run("systemctl", "reload", "meshbox.service")

    def backup() -> None:
        vps.run("systemctl", "start", "meshbox-backup.service")

    def copies() -> int:
        return vps.journal("meshbox-offsite", 100).count(" copied to ")

    backup()
    eventually(lambda: copies() == 1, 30, "the copy is made")
    listed = vps.sh(f"restic --repo {repository} --password-file /etc/meshbox/restic-password ls latest")
    assert vps.sh("ls /var/lib/meshbox/backups/*.zst | tail -n 1") in listed
    assert "not-for-the-journal" not in vps.journal("meshbox*", 1000)
    vps.sh("echo shut-sesame > /etc/meshbox/restic-password")
    backup()
    eventually(
        lambda: "not copied elsewhere" in vps.run("meshbox", "health", check=False).text, 30, "it shows"
    )
    assert vps.failed_units() == ["meshbox-offsite.service"]
    vps.sh("rm /etc/meshbox/conf.d/60-offsite.yaml /etc/meshbox/restic-password")
    vps.sh("systemctl reset-failed; systemctl reload meshbox")
    backup()
    eventually(lambda: vps.run("meshbox", "health", check=False).code == 0, 15, "it is well again")
    assert vps.failed_units() == []


def test_a_full_disk_loses_nothing_and_takes_nothing_down(vps: Machine, ana: Client) -> None:
    for size in ("1M", "512"):
        vps.run("dd", "if=/dev/zero", f"of=/var/lib/fill-{size}", f"bs={size}", check=False)
    refused = vps.run("meshbox", "users", "create", "carl", check=False)
    assert refused.code == 16, refused.text
    assert is_active(vps)
    ana.ping("ben")
    vps.sh("rm /var/lib/fill-*")
    vps.run("meshbox", "users", "create", "carl")
    eventually(lambda: vps.run("meshbox", "health", check=False).code == 0, 15, "it is well again")


def test_a_reboot(vps: Machine, ana: Client) -> None:
    began = time.monotonic()
    vps.reboot()
    eventually(lambda: vps.run("meshbox", "health", check=False).code == 0, 20, "it serves after a reboot")
    measured(f"reboot to healthy: {time.monotonic() - began:.1f} s")
    assert vps.failed_units() == []
    ana.sees("ben", online=True, within=60)
    ana.ping("ben")


def in_schema(vps: Machine, statement: str) -> None:
    vps.run("python3", "-c", "import sqlite3, sys; db = sqlite3.connect('/var/lib/meshbox/db.sqlite'); "
            "db.execute(sys.argv[1]); db.commit()", statement)  # fmt: skip


def test_a_database_of_a_newer_version_is_refused_with_the_way_back(vps: Machine) -> None:
    vps.run("systemctl", "stop", "meshbox-stun.socket", "meshbox.socket", "meshbox.service")
    in_schema(vps, "INSERT INTO schema_version VALUES (999, 'future', 0, '9.9.9')")
    assert vps.run("systemctl", "start", "meshbox.service", check=False).code != 0
    assert "install meshbox 9.9.9 or newer again" in vps.journal("meshbox")
    assert vps.sh("systemctl show -P ExecMainStatus meshbox") == "14"
    in_schema(vps, "DELETE FROM schema_version WHERE version = 999")
    vps.run("systemctl", "start", "meshbox.socket", "meshbox-stun.socket", "meshbox.service")


def test_a_failed_upgrade_of_the_database_leaves_it_and_says_where_the_copy_is(vps: Machine) -> None:
    """It believes its last step is still to be done: what that step adds is there, so it fails."""
    nodes = vps.run("meshbox", "nodes", "list", "-o", "name").out
    last = len(list((ROOT / "meshbox/store/steps").glob("m[0-9]*.py")))
    vps.run("systemctl", "stop", "meshbox-stun.socket", "meshbox.socket", "meshbox.service")
    row = f"FROM schema_version WHERE version = {last}"
    in_schema(vps, f"CREATE TABLE kept AS SELECT * {row}")
    in_schema(vps, f"DELETE {row}")
    assert vps.run("systemctl", "start", "meshbox.service", check=False).code != 0
    copy = f"/var/lib/meshbox/db.sqlite.schema-{last - 1}.backup"
    said = vps.journal("meshbox")
    assert f"could not be brought from schema {last - 1} to {last}" in said
    assert "nothing has changed" in said and copy in said
    assert vps.run("test", "-s", copy, check=False).code == 0
    vps.run("systemctl", "stop", "meshbox-stun.socket", "meshbox.socket", "meshbox.service")
    in_schema(vps, "INSERT INTO schema_version SELECT * FROM kept")
    in_schema(vps, "DROP TABLE kept")
    vps.sh(f"rm {copy}")
    vps.run("systemctl", "start", "meshbox.socket", "meshbox-stun.socket", "meshbox.service")
    assert vps.run("meshbox", "nodes", "list", "-o", "name").out == nodes


def test_remove_keeps_and_purge_asks(vps: Machine) -> None:
    nodes = vps.run("meshbox", "nodes", "list", "-o", "name").out
    vps.run("apt-get", "remove", "-y", "meshbox")
    assert vps.listening() == {"tcp/22"} and vps.failed_units() == []
    vps.run("apt-get", "install", "-y", "--no-install-recommends", "/srv/debs/" + deb("meshbox_"))
    assert vps.run("meshbox", "nodes", "list", "-o", "name").out == nodes
    said = vps.run("apt-get", "purge", "-y", "meshbox").text
    assert "data stays in /var/lib/meshbox" in said
    assert vps.run("test", "-e", "/var/lib/meshbox/db.sqlite", check=False).code == 0
    vps.run("apt-get", "install", "-y", "--no-install-recommends", "/srv/debs/" + deb("meshbox_"))
    assert vps.run("meshbox", "nodes", "list", "-o", "name").out == nodes
    vps.run("debconf-set-selections", stdin="meshbox meshbox/purge-data boolean true\n")
    vps.run("apt-get", "purge", "-y", "meshbox", "meshbox-common")
    left = vps.sh("find / -xdev -name '*meshbox*' -not -path '/srv/*' -not -path '/var/lib/systemd/catalog*' "
                  "-not -path '/proc/*' -not -path '/var/lib/dpkg/*' 2>/dev/null || true")  # fmt: skip
    assert left == "", left


def deb(beginning: str) -> str:
    """The file name of one of our packages."""
    return next(file.name for file in packages(lintian=True) if file.name.startswith(beginning))
