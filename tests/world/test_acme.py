"""A server without a domain gets a certificate for its bare address, and official clients trust it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography import x509

from tests.serve.acme.pebble import Pebble
from tests.world.clients import NEWEST
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.network import Host
from tests.world.process import eventually
from tests.world.server import Offer, Server

LIFE = 60
"""Seconds a certificate lives, so that a renewal comes while somebody watches."""


@dataclass(frozen=True, slots=True)
class Street:
    lab: Lab
    pebble: Pebble


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    """The authority lives on the server's own machine and asks at its public address, port 80."""
    for lab in keep(Lab(tls=True)):
        address = lab.network[2]
        host = lab._keep(Host("server", lab.directory / "server"))
        lab.cables["server"] = lab.backbone.plug(host, address)
        place = tmp_path_factory.mktemp("authority")
        with Pebble(place, 80, host.inside, shortlived=LIFE) as pebble:
            relay = {"enabled": True, "stun_listen_addr": "0.0.0.0:3478", "ipv4": str(address)}
            acme = {"enabled": True, "directory_url": pebble.directory_url, "ca_path": str(pebble.trust)}
            more = {"derp": {"server": relay}, "acme": acme}
            lab.server = Server(host, Offer(f"https://{address}", 443, address, more=more))
            lab.server.start()
            lab.server.create_user("lab")
            lab.authority = lab.directory / "root.pem"
            lab.authority.write_text(pebble.root())
            yield Street(lab, pebble)


def certificate(server: Server) -> x509.Certificate:
    pem = (server.directory / "acme/certificate.pem").read_bytes()
    return x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERTIFICATE") :])


def test_clients_join_by_the_bare_address_and_a_renewal_drops_nobody(street: Street) -> None:
    server = street.lab.server
    eventually(lambda: "event=certificate_obtained" in server.daemon.text(), 20, "a certificate")
    first = certificate(server)
    key = server.create_key("lab", "--reusable")
    ana, _ = (street.lab.client(name, NEWEST).up(key) for name in ("ana", "ben"))
    ana.ping("ben")
    street.lab.cables["ana"].block_udp()
    ana.ping("ben", via="derp", within=30)
    street.lab.cables["ana"].allow_udp()

    said = len(ana.daemon.text())
    eventually(lambda: certificate(server).serial_number != first.serial_number, LIFE, "a renewal")
    eventually(lambda: server.daemon.text().count("event=certificate_obtained") >= 2, 10, "its event")
    late = street.lab.client("late", NEWEST).up(key)
    ana.sees("late", online=True)
    late.ping("ben")
    assert "PollNetMap" not in ana.daemon.text()[said:], "its map stream was never interrupted"
    assert server.ask("health")["doubts"] == {}
