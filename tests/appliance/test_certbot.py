"""The certificate by certbot, as docs/tls.md says: a first one, then renewals by the webroot."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.appliance.authority import Authority
from tests.appliance.bed import ROOT, Bed, Server, packages, shown_certificate
from tests.appliance.machine import Machine
from tests.world.clients import NEWEST
from tests.world.lab import CONTROL_NAME
from tests.world.process import eventually

PAGE = (ROOT / "docs/tls.md").read_text().split("\n## By certbot\n")[1].split("\n## ")[0]
BLOCKS = [
    re.sub(r"^    ", "", block.replace("mesh.example.com", CONTROL_NAME), flags=re.MULTILINE).strip() + "\n"
    for block in re.findall(r"(?:^    .*\n)(?:\n(?=    )|    .*\n)*", PAGE, re.MULTILINE)
]
HOOK, FIRST, REST = BLOCKS
SETTINGS, LATER = REST.split("\n\n")
HOOK_FILE = "/etc/letsencrypt/renewal-hooks/deploy/meshbox"


@pytest.fixture(scope="module")
def authority(public_bed: Bed) -> Authority:
    public_bed.serve_mirror()
    # certbot asks again only once, and gave up in a whole run.
    return Authority(public_bed, refused_nonces=0)


@pytest.fixture(scope="module")
def vps(public_bed: Bed, authority: Authority) -> Machine:
    machine = public_bed.machine("vps", 2)
    machine.run("apt-get", "update", "-qq")
    for file in packages(lintian=True):
        machine.put(file, "/srv/debs")
    machine.put(authority.trust, "/srv")
    ours = "/srv/debs/meshbox_*.deb /srv/debs/meshbox-common_*.deb"
    machine.sh(f"apt-get install -y --no-install-recommends certbot {ours}")
    return machine


def type_(vps: Machine, authority: Authority, line: str) -> None:
    """Type a line of the page; certbot is told which authority to ask, and not to."""
    around = ["env", f"REQUESTS_CA_BUNDLE=/srv/{authority.trust.name}"]
    words = shlex.split(line)
    if words[0] == "certbot":
        words += ["--non-interactive", "--agree-tos", "--register-unsafely-without-email",
                  "--server", authority.directory_url]  # fmt: skip
    vps.run(*around, *words, timeout=120)


def test_the_page_brings_it_up(public_bed: Bed, vps: Machine, authority: Authority) -> None:
    vps.sh(f"mkdir -p {Path(HOOK_FILE).parent}")
    vps.run("tee", HOOK_FILE, stdin=HOOK)
    vps.run("chmod", "755", HOOK_FILE)
    for line in FIRST.splitlines():
        type_(vps, authority, line)
    vps.run("tee", "/etc/meshbox/conf.d/30-webroot.yaml", stdin=SETTINGS)
    for line in LATER.splitlines():
        type_(vps, authority, line)
    public_bed.authority = authority.root
    public_bed.server = Server(vps, f"https://{CONTROL_NAME}")  # type: ignore[assignment]
    vps.run("meshbox", "users", "create", "lab")
    key = public_bed.server.create_key("lab", "--reusable")
    for name in ("ana", "ben"):
        public_bed.client(name, NEWEST).up(key)
    public_bed.clients["ana"].ping("ben")
    assert vps.failed_units() == []


def test_the_server_may_read_its_own_key_and_no_other(vps: Machine) -> None:
    vps.sh(f"cp -a /etc/letsencrypt/archive/{CONTROL_NAME} /etc/letsencrypt/archive/other.example.net")
    certificates = "/etc/letsencrypt/archive"
    vps.sh(f"cd {certificates}/other.example.net; chown root:root *; chmod 600 privkey*")
    vps.run(HOOK_FILE)

    def may_read(path: str) -> bool:
        return vps.run("runuser", "-u", "meshbox", "--", "cat", path, check=False).code == 0

    assert may_read(f"{certificates}/{CONTROL_NAME}/privkey1.pem")
    assert not may_read(f"{certificates}/other.example.net/privkey1.pem")
    assert vps.run("runuser", "-u", "meshbox", "--", "ls", certificates, check=False).code != 0
    vps.sh("rm -r /etc/letsencrypt/archive/other.example.net")


def test_certbots_renewal_drops_no_session(public_bed: Bed, vps: Machine, authority: Authority) -> None:
    ana = public_bed.clients["ana"]
    first = shown_certificate(ana.host)
    errors, process = ana.daemon.text().count("PollNetMap"), vps.sh("systemctl show -P MainPID meshbox")
    type_(vps, authority, "certbot renew --force-renewal --no-random-sleep-on-renew")
    eventually(lambda: shown_certificate(ana.host) != first, 30, "the new certificate is shown")
    ana.ping("ben")
    assert ana.daemon.text().count("PollNetMap") == errors
    assert vps.sh("systemctl show -P MainPID meshbox") == process
