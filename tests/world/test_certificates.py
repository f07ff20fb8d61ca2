"""Devices get certificates for their names, from an authority that asks our name server."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from tests.serve.acme.pebble import Pebble
from tests.world.clients import NEWEST, Client, Wish
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.network import Host
from tests.world.ports import free_port
from tests.world.process import Daemon, eventually

BASE = "mesh.example.net"
NAME = f"laptop.{BASE}"
SETTINGS = {"dns": {"base_domain": BASE, "magic_dns": True, "certificates": {"enabled": True}}}

DOOR = Path(__file__).with_name("acmedoor.py")

FETCH = """
import ssl, sys, urllib.request as u
trust = ssl.create_default_context(cafile=sys.argv[2])
print(u.urlopen(sys.argv[1], timeout=10, context=trust).read().decode(), end="")
"""


@dataclass(frozen=True, slots=True)
class Street:
    lab: Lab
    laptop: Client
    root: Path


def open_door(host: Host, pebble: Pebble, place: Path) -> tuple[Daemon, str]:
    """The door, and where it leads in."""
    port, door, home = free_port(), Daemon("the authority's door", place / "door"), pebble.trust.parent
    behind = pebble.directory_url.removesuffix("/dir")
    papers = (str(home / name) for name in ("cert.pem", "key.pem", "trust.pem"))
    door.start(host.inside([sys.executable, str(DOOR), str(port), behind, *papers]))
    door.ready(lambda: "up" in door.text(), 10, "listens")
    return door, f"https://127.0.0.1:{port}/dir"


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """The authority lives on the laptop's machine, and asks the server as it would ask any name server."""
    place = tmp_path_factory.mktemp("authority")
    for lab in keep(Lab.open(tls=True, settings=SETTINGS)):
        host = lab.host("laptop")
        pebble = Pebble(place, 80, host.inside)
        pebble.resolver = f"{lab.network[2]}:53"
        with pebble:
            assert lab.authority is not None
            trust, root = place / "trust.pem", place / "root.pem"
            trust.write_text(lab.authority.read_text() + pebble.trust.read_text())
            root.write_text(pebble.root())
            door, directory_url = open_door(host, pebble, place)
            environment = {"TS_DEBUG_ACME_DIRECTORY_URL": directory_url, "SSL_CERT_FILE": str(trust)}
            laptop = lab.client("laptop", NEWEST, on=host, wish=Wish(environment=environment))
            laptop.up(lab.server.create_key("lab"))
            yield Street(lab, laptop, root)
            door.stop()


def test_tailscale_cert_gets_one(street: Street, tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    street.laptop.cli("cert", f"--cert-file={certificate}", f"--key-file={key}", NAME, timeout=60)
    issued = x509.load_pem_x509_certificate(certificate.read_bytes())
    names = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [NAME]
    ssl.create_default_context().load_cert_chain(certificate, key)
    assert "event=name_proven" in street.lab.server.daemon.text()


def test_only_its_own_name(street: Street) -> None:
    refused = street.laptop.cli("cert", f"other.{BASE}", timeout=60, check=False)
    assert refused.code != 0 and f"other.{BASE}" in refused.text


def test_serve_is_reached_by_https(street: Street) -> None:
    phone = street.lab.client("phone", NEWEST).up(street.lab.server.create_key("lab"))
    street.laptop.offer("hello over https")
    street.laptop.cli("serve", "--bg", "8000", timeout=60)
    url = f"https://{NAME}/"

    def fetched() -> bool:
        said = phone.host.run(sys.executable, "-c", FETCH, url, str(street.root), check=False)
        return said.out == "hello over https"

    eventually(fetched, 60, "phone reads the page over https")


def test_a_renamed_device_proves_its_new_name(street: Street, tmp_path: Path) -> None:
    street.lab.server.admin("nodes", "rename", "laptop", "desk")
    words = ("cert", f"--cert-file={tmp_path}/c", f"--key-file={tmp_path}/k", f"desk.{BASE}")
    eventually(lambda: street.laptop.cli(*words, timeout=60, check=False).code == 0, 30, "desk has one")
