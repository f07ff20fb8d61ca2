"""Control and relay on port 443 of one address, under two names, without a proxy in front."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.world.clients import Client
from tests.world.lab import PUBLIC, Lab
from tests.world.net import keep
from tests.world.process import Daemon, run
from tests.world.server import MESHBOX, REGION, REGION_ID

NAME = "derp.example.net"
VERSIONS = ("1.68.0", "1.102.5")


@pytest.fixture(params=VERSIONS)
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Client, Client, str]]:
    """Two clients without UDP, and the relay's socket."""
    address = str(PUBLIC[2])
    lab = Lab(tls=True)
    directory = lab.directory / "relay"
    directory.mkdir()
    local, handover = f"{directory}/derp.sock", f"{directory}/handover.sock"
    server = {
        "enabled": True, "separate": True, "host_name": NAME, "handover_socket": handover, "ipv4": address,
        "region_id": REGION_ID, "region_code": REGION, "region_name": "Laboratory",
    }  # fmt: skip
    file = lab.directory / "derp.yaml"
    relay_keys = {
        "handover_socket": handover, "socket": local, "state_dir": str(directory),
        "hostnames": [NAME, address],
    }  # fmt: skip
    file.write_text(yaml.safe_dump(relay_keys))
    relay = Daemon("meshbox derp", directory / "log")
    for opened in keep(lab):
        opened._add_server(True, {"derp": {"server": server, "push": [local]}})
        relay.start(opened.server.host.inside([str(MESHBOX), "derp", "-c", str(file)]))
        try:
            opened.server.start()
            opened.server.create_user("lab")
            key = opened.server.create_key("lab", "--reusable")
            clients = [opened.client(name, request.param) for name in ("ana", "ben")]
            for client in clients:
                opened.cables[client.name].block_udp()
                client.up(key)
            yield clients[0], clients[1], local
        finally:
            relay.stop()


def test_both_answer_on_one_port(pair: tuple[Client, Client, str]) -> None:
    ana, ben, socket = pair
    assert f"via DERP({REGION})" in ana.ping("ben", via="derp", within=40)
    report = json.loads(ben.cli("netcheck", "--format=json").out)
    assert (report["UDP"], report["PreferredDERP"]) == (False, REGION_ID)
    status = json.loads(run([str(MESHBOX), "derp", "--socket", socket, "status", "-o", "json"]).out)
    assert (status["clients"], status["admitted"]) == (2, 2)
