"""Clients on WebSockets: a tailscaled that reaches the relay so, and the client for browsers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world import clients
from tests.world.clients import NEWEST, Client, Wish
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.process import Daemon, LabError, eventually

BUILDS = clients.CACHE / "websocket"
DRIVER = Path(__file__).with_name("browser.cjs")


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Over HTTPS, as browsers insist."""
    yield from keep(Lab.open(tls=True))


@pytest.fixture(scope="module")
def key(lab: Lab) -> str:
    return lab.server.create_key("lab", "--reusable")


@pytest.fixture(scope="module")
def ana(lab: Lab, key: str) -> Client:
    """An ordinary client for the others to talk to."""
    return lab.client("ana", NEWEST).up(key)


def built(name: str) -> Path:
    path = BUILDS / name
    if not path.exists():
        raise LabError(f"{path} is missing: run scripts/build-clients.sh")
    return path


class Build(clients.Build):
    """The newest client, but for its daemon."""

    @property
    def daemon(self) -> Path:
        return built("tailscaled")


def test_the_relay_is_reached_by_websocket(lab: Lab, key: str, ana: Client) -> None:
    trust = {"SSL_CERT_FILE": str(lab.authority), "SSL_CERT_DIR": str(lab.directory / "none")}
    wish = Wish(environment={"TS_DEBUG_DERP_WS_CLIENT": "true", **trust})
    wes = Client("wes", lab.host("wes"), Build(NEWEST), lab.server.url, wish)
    lab.clients["wes"] = wes.start()
    wes.up(key)
    lab.cables["wes"].block_udp()
    ana.ping("wes", via="derp", within=40)
    wes.ping("ana", via="derp", within=40)
    eventually(lambda: "websocket" in wes.daemon.text(), 5,
               "wes says that it uses a WebSocket")  # fmt: skip


def test_the_client_for_browsers_joins_and_fetches_from_a_peer(lab: Lab, key: str, ana: Client) -> None:
    """WebAssembly in Node.js, which knows the same WebSocket and fetch as a browser and no other way out."""
    node = shutil.which("node")
    if node is None:
        raise LabError("Node.js is missing: apt-get install nodejs")
    ana.offer("hello browser")
    host = lab.host("page")
    options = {"controlURL": lab.server.url, "authKey": key, "hostname": "page"}
    options["fetch"] = f"http://{ana.address}:8000/"
    daemon = Daemon("the browser's client", host.directory / "page.log")
    argv = [
        node,
        "--experimental-websocket",
        str(DRIVER),
        str(built("main.wasm").parent),
        json.dumps(options),
    ]
    daemon.start(host.inside(argv), {"PATH": "/usr/bin:/bin", "NODE_EXTRA_CA_CERTS": str(lab.authority)})
    try:
        eventually(lambda: '{"state":"Running"}' in daemon.text(), 30, f"it runs\n{daemon.tail(20)}")
        ana.sees("page", online=True)
        assert lab.server.nodes()["page"]["ephemeral"] is True
        eventually(
            lambda: '{"fetched":"hello browser"}' in daemon.text(), 40, f"it fetches\n{daemon.tail(20)}"
        )
        ana.ping("page", via="derp")
        assert '"peers":["ana.mesh.lab."' in daemon.text()
    finally:
        daemon.stop()
    ana.sees("page", online=False, within=15)
