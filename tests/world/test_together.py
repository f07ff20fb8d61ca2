"""All supported versions in one tailnet, and what a pulled cable does to each of them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.world.clients import NEWEST, VERSIONS, Client
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.server import REGION_ID

UNPLUGGED_WITHIN = 90.0


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A laboratory where every version is present."""
    yield from keep(Lab.open())


@pytest.fixture(scope="module")
def clients(lab: Lab) -> list[Client]:
    """One joined client of every version, and an observer of the newest."""
    key = lab.server.create_key("lab", "--reusable")
    started = [lab.client(f"v{version.replace('.', '-')}", version) for version in VERSIONS]
    started.append(lab.client("observer", NEWEST))
    return [client.up(key) for client in started]


def test_every_version_reaches_every_other_directly(clients: list[Client]) -> None:
    for client in clients:
        for other in clients:
            if other is not client:
                client.ping(other.name, via="direct")


def test_every_version_reaches_every_other_through_the_relay(lab: Lab, clients: list[Client]) -> None:
    for client in clients:
        lab.cables[client.name].block_udp()
    for client in clients:
        for other in clients:
            if other is not client:
                client.ping(other.name, via="derp", within=40)
    for client in clients:
        lab.cables[client.name].allow_udp()


def test_the_official_tool_finds_no_fault_with_a_pinned_relay(clients: list[Client]) -> None:
    assert clients[-1].relay_faults(REGION_ID) == []


def test_a_pulled_cable_is_noticed(lab: Lab, clients: list[Client]) -> None:
    """No packet says goodbye here: the server must find out by itself."""
    *victims, observer = clients
    for victim in victims:
        observer.sees(victim.name, online=True)
        lab.cables[victim.name].pull()
    began = time.monotonic()
    for victim in victims:
        left = UNPLUGGED_WITHIN - (time.monotonic() - began)
        observer.sees(victim.name, online=False, within=left)
    for victim in victims:
        lab.cables[victim.name].plug_in()
    for victim in victims:
        observer.sees(victim.name, online=True, within=60)
        observer.ping(victim.name, within=30)
