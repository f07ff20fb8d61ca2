"""The same over HTTPS on port 443 with a certificate of our own authority, relay included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.world.clients import NEWEST, Build, Client
from tests.world.lab import CONTROL_NAME, Lab
from tests.world.net import keep
from tests.world.server import REGION_ID


@pytest.fixture(scope="module")
def lab(version: str) -> Iterator[Lab]:
    """For each version a laboratory with TLS on public-looking addresses."""
    yield from keep(Lab.open(tls=True))


@pytest.fixture(scope="module")
def pair(lab: Lab, version: str) -> list[Client]:
    """Two joined clients."""
    key = lab.server.create_key("lab", "--reusable")
    return [client.up(key) for client in [lab.client(name, version) for name in ("cleo", "dan")]]


def test_join_and_ping_directly(pair: list[Client]) -> None:
    cleo, dan = pair
    cleo.ping("dan", via="direct")
    dan.ping("cleo", via="direct")


def test_relay_on_the_same_port(lab: Lab, pair: list[Client]) -> None:
    cleo, _ = pair
    lab.cables["cleo"].block_udp()
    cleo.ping("dan", via="derp", within=30)
    lab.cables["cleo"].allow_udp()


def test_the_official_tool_finds_no_fault_with_the_relay(pair: list[Client]) -> None:
    assert pair[0].relay_faults(REGION_ID) == []


def test_the_official_tool_opens_the_tunnel(lab: Lab, pair: list[Client]) -> None:
    """`tailscale debug ts2021` dials, shakes hands with a fresh machine key and asks /machine/whoami.
    Always the newest one: that of 1.68 crashes where nobody listens on port 80."""
    command = [f"SSL_CERT_FILE={lab.authority}", str(Build(NEWEST).command), "debug", "ts2021"]
    said = pair[0].host.run("env", *command, f"--host={CONTROL_NAME}", timeout=40).text
    assert "did noise handshake" in said, said


def test_a_restart_is_survived(lab: Lab, pair: list[Client]) -> None:
    cleo, _ = pair
    lab.server.stop()
    lab.server.start()
    cleo.sees("dan", online=True, within=15)
    cleo.ping("dan")
