"""The same over HTTPS on port 443 with a certificate of our own authority, relay included."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.world.clients import NEWEST, Client
from tests.world.lab import CONTROL_NAME, Lab
from tests.world.net import keep
from tests.world.server import REGION_ID


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A laboratory with TLS on public-looking addresses."""
    yield from keep(Lab.open(tls=True))


@pytest.fixture(scope="module")
def pair(lab: Lab) -> list[Client]:
    """Two joined clients."""
    key = lab.server.create_key("lab", "--reusable")
    return [client.up(key) for client in [lab.client(name, NEWEST) for name in ("cleo", "dan")]]


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


def test_the_official_tool_opens_the_tunnel(pair: list[Client]) -> None:
    """`tailscale debug ts2021` dials, shakes hands with a fresh machine key and asks /machine/whoami."""
    said = pair[0].cli("debug", "ts2021", f"--host={CONTROL_NAME}", timeout=40).text
    assert "did noise handshake" in said or "whoami" in said, said


def test_a_restart_is_survived(lab: Lab, pair: list[Client]) -> None:
    cleo, _ = pair
    lab.server.stop()
    lab.server.start()
    cleo.sees("dan", online=True, within=15)
    cleo.ping("dan")
