"""The newcomer's way: one command, the line it prints, two machines that reach each other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from tests.world.clients import NEWEST, Client
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.network import Host
from tests.world.process import eventually
from tests.world.server import MESHBOX, Offer, Server

LINE = re.compile(r"^    (tailscale up --login-server (\S+) --auth-key mb-auth-\w+-\w+)$", re.MULTILINE)


class Quickstart(Server):
    """`meshbox quickstart` on a machine with one address and nothing prepared."""

    def start(self, within: float = 20.0) -> None:
        said = len(self.daemon.text())
        self.daemon.start(self.host.inside([str(MESHBOX), "quickstart", "--state-dir", str(self.directory)]))
        found = eventually(
            lambda: LINE.search(self.daemon.text(), said),
            within,
            f"quickstart says how to join\n{self.daemon.tail()}",
        )
        self.line, self.url = found[1], found[2]


@pytest.fixture
def lab() -> Iterator[Lab]:
    """A laboratory whose server was started as README says."""
    for lab in keep(Lab()):
        host = Host("server", lab.directory / "server")
        address = lab.network[2]
        lab.cables["server"] = lab.backbone.plug(host, address)
        lab.server = Quickstart(host, Offer("", 8080, address))
        lab.server.config.unlink()
        try:
            lab.server.start()
            yield lab
        finally:
            lab.server.close()
            host.close()


def join(lab: Lab, name: str) -> Client:
    """A client on a new machine, where somebody typed the printed line."""
    client = lab.client(name, NEWEST)
    assert isinstance(lab.server, Quickstart)
    client.cli(*shlex.split(lab.server.line)[1:])
    client.wait_until("Running")
    return client


def test_from_nothing_to_two_machines(lab: Lab) -> None:
    ana, ben = join(lab, "ana"), join(lab, "ben")
    assert ana.status()["Self"]["UserID"] == ben.status()["Self"]["UserID"]
    ana.ping("ben", via="direct")
    lab.cables["ana"].block_udp()
    ana.ping("ben", via="derp")
    lab.cables["ana"].allow_udp()


def test_stopping_and_starting_keeps_everything(lab: Lab) -> None:
    ana = join(lab, "ana")
    addresses, before = ana.addresses, lab.server.url
    assert lab.server.stop() == 0
    lab.server.start()
    assert lab.server.url == before
    late = join(lab, "late")
    late.sees("ana", online=True)
    late.ping("ana")
    assert ana.addresses == addresses
    assert {"ana", "late"} <= lab.server.nodes().keys()
