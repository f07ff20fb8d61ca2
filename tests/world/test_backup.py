"""The server's machine is lost. From one archive another takes its place, and no client notices."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.clients import NEWEST
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.process import run
from tests.world.server import MESHBOX


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    yield from keep(Lab.open())


def test_two_clients_come_back_to_a_restored_server_without_logging_in(lab: Lab, tmp_path: Path) -> None:
    server = lab.server
    key = server.create_key("lab", "--reusable")
    ana, ben = (lab.client(name, NEWEST).up(key) for name in ("ana", "ben"))
    ana.ping("ben")
    addresses = [client.addresses for client in (ana, ben)]
    before = {
        name: (node["id"], node["nodeKey"], node["ipAddresses"]) for name, node in server.nodes().items()
    }
    archive = tmp_path / "archive"
    shutil.move(server.admin("backup", "create").out.strip(), archive)

    said_before = {client.name: len(client.daemon.text()) for client in (ana, ben)}
    server.kill()
    shutil.rmtree(server.directory)
    assert not server.config.exists()
    # No configuration is left that could say anything: the archive alone has to do.
    said = run([str(MESHBOX), "backup", "restore", str(archive)]).text
    assert "now start the server" in said
    server.start()

    for one, other in ((ana, "ben"), (ben, "ana")):
        one.sees(other, online=True, within=40)
        assert one.status()["BackendState"] == "Running"
    after = {
        name: (node["id"], node["nodeKey"], node["ipAddresses"]) for name, node in server.nodes().items()
    }
    assert after == before
    assert [client.addresses for client in (ana, ben)] == addresses
    # The log lies in the laboratory's state directory, so it came back too; what counts is what followed.
    assert "event=node_registered" not in server.daemon.text().rpartition("event=server_started")[2]
    for client in (ana, ben):
        assert "NeedsLogin" not in client.daemon.text()[said_before[client.name] :]
    ana.ping("ben")
    # The key made before the backup still lets somebody in, and the tailnet goes on.
    late = lab.client("late", NEWEST).up(key)
    late.ping("ana")
