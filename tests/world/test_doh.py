"""DNS over HTTPS: a service that clients know, played in the laboratory under its own name and address."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from tests.world import dohserver
from tests.world.authority import issue_certificate
from tests.world.clients import Wish
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.process import Daemon, eventually
from tests.world.server import BASE_DOMAIN

QUAD9 = ("dns.quad9.net", IPv4Address("9.9.9.9"), "/dns-query")
NEXTDNS = ("dns.nextdns.io", IPv4Address("45.90.28.0"), "/abc123")
"""Name, an address that clients know, and what the configuration asks for."""
ANSWER = "192.0.2.99"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from keep(Lab.open())


@pytest.mark.parametrize("service", [QUAD9, NEXTDNS], ids=lambda service: service[0])
def test_clients_ask_a_service_they_know(
    lab: Lab, version: str, service: tuple[str, IPv4Address, str]
) -> None:
    name, address, path = service
    dns = {"magic_dns": True, "base_domain": BASE_DOMAIN, "override_local_dns": True}
    lab.server.reconfigure(dns={**dns, "nameservers": {"global": [f"https://{name}{path}"]}})
    issued = issue_certificate(lab.directory, name, address)
    lab.server.host.run("ip", "address", "replace", f"{address}/32", "dev", "eth0")
    label = f"v{version}-{name}".replace(".", "-")
    daemon = Daemon(f"DNS over HTTPS at {name}", lab.directory / f"{label}.log")
    files = [str(issued.certificate), str(issued.key)]
    argv = ["env", f"PYTHONPATH={ROOT}", sys.executable, dohserver.__file__, str(address), ANSWER, *files]
    daemon.start(lab.server.host.inside(argv))
    try:
        eventually(lambda: "ready" in daemon.text(), 20, f"{daemon.name} is ready")
        trust = {"SSL_CERT_FILE": str(issued.authority), "SSL_CERT_DIR": str(lab.directory / "none")}
        client = lab.client(label, version, wish=Wish(environment=trust)).up(lab.server.create_key("lab"))
        client.host.run("ip", "route", "replace", f"{address}/32", "dev", "eth0")
        eventually(lambda: client.resolve("www.example.net") == [ANSWER], 30, "it asks the service")
        assert f"asked {path}" in daemon.text()
        if service is NEXTDNS:
            assert (
                f"asked {path}?device_name={label}&device_model=linux&device_ip={client.address}"
                in daemon.text()
            )
        lab.dismiss(client)
    finally:
        daemon.stop()
