"""The packages as packages: the same twice, from a signed repository, in and out without a trace."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.appliance.bed import ROOT, Bed, packages
from tests.appliance.machine import Machine
from tests.world.clients import NEWEST, Build
from tests.world.process import run

INSTALL = ("apt-get", "install", "-y", "--no-install-recommends")
SOURCES = """\
Types: deb
URIs: http://{mirror}:8000/meshbox/
Suites: stable
Components: main
Signed-By: /etc/apt/keyrings/meshbox.asc
"""
NOT_OURS = (
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/tmp",
    "/srv",
    "/var/cache",
    "/var/log",
    "/var/lib/apt",
    "/var/lib/dpkg",
)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our packages as `make apt-repo` puts them on a web server."""
    out = tmp_path_factory.mktemp("repository")
    debs = packages(lintian=True)[0].parent
    run(["sh", str(ROOT / "packaging/apt-repo.sh"), "--from", str(debs), "--out", str(out)])
    return out


@pytest.fixture(scope="module")
def machine(private_bed: Bed, repository: Path) -> Machine:
    private_bed.serve_mirror(repository)
    return private_bed.machine("vps", 2)


def test_the_same_tree_gives_the_same_packages(tmp_path: Path) -> None:
    first = packages(lintian=True)
    # Another place, another time, another umask.
    script = f"umask 027; sh {ROOT}/packaging/build.sh --no-lintian --out {tmp_path}"
    run(
        ["sh", "-euc", script],
        timeout=300,
        env={**os.environ, "TZ": "Pacific/Auckland", "LANG": "de_DE.UTF-8"},
    )
    again = sorted(tmp_path.glob("*.deb"))
    assert [file.name for file in again] == [file.name for file in first] and len(again) == 3
    for one, other in zip(first, again, strict=True):
        assert digest(one) == digest(other), one.name


def test_from_the_signed_repository_in_and_out(private_bed: Bed, machine: Machine, repository: Path) -> None:
    machine.run("apt-get", "update", "-qq")
    depends = machine.sh("apt-cache show python3-aiohttp >/dev/null && echo fine")
    assert depends == "fine"
    source = SOURCES.format(mirror=private_bed.network[3])
    machine.run("tee", "/etc/apt/sources.list.d/meshbox.sources", stdin=source)
    unsigned = machine.run("apt-get", "update", check=False)
    assert "NO_PUBKEY" in unsigned.text or "not signed" in unsigned.text or unsigned.code != 0
    machine.run("mkdir", "-p", "/etc/apt/keyrings")
    key = (repository / "meshbox-archive-keyring.asc").read_text()
    machine.run("tee", "/etc/apt/keyrings/meshbox.asc", stdin=key)
    machine.run("apt-get", "update", "-qq")
    bare, people = everything(machine), machine.read("/etc/passwd")
    machine.run(*INSTALL, "meshbox", "meshbox-derp")
    assert machine.failed_units() == [] and machine.listening() == {"tcp/22"}
    machine.run("apt-get", "purge", "-y", "meshbox", "meshbox-derp", "meshbox-common")
    before = everything(machine)
    # What it depends on stays; nothing of its own does, but the users, whose numbers must not go to others.
    assert {path for path in before - bare if "meshbox" in path} == set()
    came = set(machine.read("/etc/passwd").splitlines()) - set(people.splitlines())
    assert {line.split(":")[0] for line in came} == {"meshbox", "meshbox-derp"}
    machine.run(*INSTALL, "meshbox", "meshbox-derp")
    assert "meshbox 0." in machine.run("apt-cache", "policy", "meshbox").out.replace("Installed:", "meshbox")
    machine.run("apt-get", "purge", "-y", "meshbox", "meshbox-derp", "meshbox-common")
    assert everything(machine) - before == set()


def test_a_relay_alone_serves_without_a_network_of_its_own(private_bed: Bed, machine: Machine) -> None:
    machine.run(*INSTALL, "meshbox-derp")
    settings = "hostnames: [10.99.0.2]\nadmission: {mode: all, open_to_everybody: true}\n"
    machine.run("tee", "/etc/meshbox/derp.d/50-local.yaml", stdin=settings)
    machine.sh("cd /usr/lib/systemd/system; systemctl start $(ls meshbox-derp*.socket) meshbox-derp.service")
    assert machine.listening() == {"tcp/22", "tcp/80", "tcp/443", "udp/3478"}
    outside = private_bed.hosts["mirror"]
    for url in ("https://10.99.0.2/derp/probe", "http://10.99.0.2/generate_204"):
        assert outside.run("curl", "-fsk", url, check=False).code == 0
    pid = machine.sh("systemctl show -P MainPID meshbox-derp")
    links = machine.run("nsenter", "-t", pid, "-n", "ip", "-o", "link").out.splitlines()
    assert len(links) == 1 and " lo: " in links[0]
    machine.run("apt-get", "purge", "-y", "meshbox-derp", "meshbox-common")
    assert machine.listening() == {"tcp/22"} and machine.failed_units() == []


def test_two_official_clients_join_what_was_installed(machine: Machine) -> None:
    machine.run(*INSTALL, "meshbox")
    machine.put(ROOT / "packaging/debian/tests/join", "/srv")
    for binary in (Build(NEWEST).daemon, Build(NEWEST).command):
        machine.put(binary, "/srv/clients")
    said = machine.run("env", "MESHBOX_TEST_CLIENTS=/srv/clients", "/srv/join", timeout=180).text
    assert "pong from two" in said


def everything(machine: Machine) -> set[str]:
    """Every path of the machine that a package could have left behind."""
    found = machine.sh("find / -xdev -not -name '*.pyc' -not -name __pycache__").splitlines()
    return {path for path in found if not path.startswith(NOT_OURS)}


def digest(file: Path) -> str:
    """Of its bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
