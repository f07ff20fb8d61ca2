"""One laboratory per client version, shared by all tests of that version; logs are shown when a test fails.

    net.lab      the laboratory and its server
    net.key      a reusable pre-auth key of the user "lab"
    net.ana, net.ben    two clients that joined and stay joined
    guests       a factory for more clients; they and their nodes are gone after the test

A test leaves the server running and ana and ben joined, whatever it did in between.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.world.clients import NEWEST, VERSIONS, Build
from tests.world.lab import Lab
from tests.world.net import Guests, Net, keep, open_labs
from tests.world.process import eventually

HERE = Path(__file__).parent

OLDEST = VERSIONS[0]
WITH_OLDEST = frozenset(
    (
        "access",
        "join",
        "lifecycle",
        "names",
        "paths",
        "presence",
        "restart",
        "routes",
        "ssh",
        "tls",
        "together",
    )
)
"""What the oldest client is run with: the work of every day. The rest is seen with the other versions, which
takes the half of an hour that all of it would."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "world: official clients in network namespaces (needs root)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what lives here; without root there are no namespaces, and that is said, not hidden."""
    left = [item for item in items if is_for_its_client(item)]
    if len(left) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if not is_for_its_client(item)])
        items[:] = left
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker("world")
        if client_of(item) not in (None, NEWEST):
            item.add_marker("older")
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="network namespaces need root"))


def is_for_its_client(item: pytest.Item) -> bool:
    """Does this test run with the client version it is paired with?"""
    if HERE not in item.path.parents or client_of(item) != OLDEST:
        return True
    return item.path.stem.removeprefix("test_") in WITH_OLDEST


def client_of(item: pytest.Item) -> str | None:
    """The client version that the test is paired with, if it is with one."""
    called = getattr(item, "callspec", None)
    return None if called is None else called.params.get("version")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """Put the logs of the open laboratories beside a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and HERE in item.path.parents:
        for lab in open_labs():
            report.sections.append(("laboratory", lab.report()))


@pytest.fixture(scope="session", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Each official client version that must work."""
    wanted: str = request.param
    assert Build(wanted).daemon.exists()
    return wanted


@pytest.fixture(scope="session")
def shared_net(version: str) -> Iterator[Net]:
    """The laboratory of one client version."""
    settings = {"node": {"ephemeral": {"inactivity_timeout": "3s"}}}
    for lab in keep(Lab.open(settings=settings)):
        key = lab.server.create_key("lab", "--reusable")
        ana, ben = (lab.client(name, version) for name in ("ana", "ben"))
        yield Net(lab, version, key, ana.up(key), ben.up(key))


@pytest.fixture
def net(shared_net: Net) -> Iterator[Net]:
    """The shared laboratory, in order before the test."""
    if not shared_net.server.daemon.alive:
        shared_net.server.start()
    for client in (shared_net.ana, shared_net.ben):
        shared_net.lab.cables[client.name].allow_udp()
        shared_net.lab.cables[client.name].plug_in()
        if not client.daemon.alive:
            client.start()
        status = eventually(client.status, 10, f"{client.name} answers")
        if status["BackendState"] != "Running":
            client.up(shared_net.key)
    yield shared_net


@pytest.fixture
def guests(net: Net) -> Iterator[Guests]:
    """Clients that leave after the test."""
    invited = Guests(net)
    yield invited
    invited.leave()
