"""A relay of its own process beside the control server, with official clients: who fails, and who notices."""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.world.clients import Client
from tests.world.lab import Lab
from tests.world.net import keep
from tests.world.process import Daemon, eventually, run
from tests.world.server import MESHBOX, REGION, REGION_ID

MANAGER = Path(__file__).parents[1] / "fake" / "manager.py"
VERSIONS = ("1.68.0", "1.102.5")
LARGE = "x" * 2_000_000
VIA_RELAY = f"via DERP({REGION})"


@dataclass
class Place:
    """A laboratory whose relay is a process of its own; two clients that reach each other through it only."""

    lab: Lab
    relay: Daemon
    argv: list[str]
    socket: str
    ana: Client
    ben: Client

    def status(self) -> dict[str, Any]:
        told = run([str(MESHBOX), "derp", "--socket", self.socket, "status", "-o", "json"])
        found: dict[str, Any] = json.loads(told.out)
        return found

    def start_relay(self) -> None:
        """Under a hand that holds its sockets, as systemd does."""
        address = self.lab.network[2]
        sockets = (
            f"derp=tcp:{address}:8443", f"stun=udp:{address}:3478", f"derp-control=unix:{self.socket}",
        )  # fmt: skip
        held = [sys.executable, str(MANAGER), *sockets, "--", *self.argv]
        self.relay.start(self.lab.server.host.inside(held))


def relay_file(lab: Lab, directory: str) -> str:
    path = lab.directory / "derp.yaml"
    written = {
        "listen": "0.0.0.0:8443", "stun_listen": "0.0.0.0:3478", "hostnames": [str(lab.network[2])],
        "state_dir": directory, "socket": f"{directory}/derp.sock", "log": {"level": "debug"},
    }  # fmt: skip
    path.write_text(yaml.safe_dump(written))
    return str(path)


@pytest.fixture(scope="module", params=VERSIONS)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    address = "10.99.0.2"
    described = {
        "enabled": True, "separate": True,
        "region_id": REGION_ID, "region_code": REGION, "region_name": "Lab",
        "listen_addr": "0.0.0.0:8443", "stun_listen_addr": "0.0.0.0:3478", "ipv4": address,
    }  # fmt: skip
    lab = Lab()
    directory = lab.directory / "relay"
    directory.mkdir()
    settings: dict[str, Any] = {"derp": {"server": described, "push": [f"{directory}/derp.sock"]}}
    for opened in keep(_open(lab, settings)):
        argv = [str(MESHBOX), "derp", "-c", relay_file(lab, str(directory))]
        found = Place(
            opened, Daemon("meshbox derp", directory / "log"), argv, f"{directory}/derp.sock",
            *(lab.client(name, request.param) for name in ("ana", "ben")),
        )  # fmt: skip
        found.start_relay()
        try:
            key = lab.server.create_key("lab", "--reusable")
            for client in (found.ana, found.ben):
                lab.cables[client.name].block_udp()
                client.up(key)
            assert VIA_RELAY in found.ana.ping("ben", via="derp", within=40)
            yield found
        finally:
            found.relay.stop()


def _open(lab: Lab, settings: dict[str, Any]) -> Lab:
    try:
        lab._add_server(False, settings)
        lab.server.start()
        lab.server.create_user("lab")
    except BaseException:
        lab.close()
        raise
    return lab


def lost_of(said: str) -> tuple[int, int]:
    """(sent, received) of ping's last lines."""
    found = re.search(r"(\d+) packets transmitted, (\d+) (?:packets )?received", said)
    assert found, said
    return int(found[1]), int(found[2])


def test_data_goes_through_the_separate_relay(place: Place) -> None:
    place.ana.offer(LARGE)
    assert place.ben.fetch(f"http://{place.ana.address}:8000/", within=40) == LARGE
    assert place.status()["packetsSent"] > 1000


def test_a_control_server_killed_and_started_again_costs_no_relayed_packet(place: Place) -> None:
    pings = place.ana.host.inside(["ping", "-i", "0.2", "-c", "40", "-W", "2", place.ben.address])
    stream = Daemon("pings", place.lab.directory / "pings.log")
    before = stream.text()
    stream.start(pings)
    time.sleep(1.5)
    place.lab.server.kill()
    time.sleep(3)
    place.lab.server.start()
    eventually(lambda: "packets transmitted" in stream.text()[len(before) :], 30, "the pings end")
    sent, received = lost_of(stream.text()[len(before) :])
    assert (sent, received) == (40, 40)


def test_a_relay_that_restarts_has_its_clients_back_at_once(place: Place) -> None:
    stream = Daemon("pings", place.lab.directory / "restart.log")
    seen = len(stream.text())
    stream.start(place.ana.host.inside(["ping", "-i", "0.1", "-c", "120", "-W", "2", place.ben.address]))
    before = place.status()["startedAt"]
    began = time.monotonic()
    place.relay.signal(signal.SIGHUP)

    def are_back() -> bool:
        status = place.status()
        return status["startedAt"] > before and status["clients"] >= 2

    signalled = time.time()
    eventually(are_back, 15, "both are back", every=0.05)
    assert time.monotonic() - began < 10
    told = run([str(MESHBOX), "derp", "--socket", place.socket, "top", "--seconds", "0.1", "-o", "json"])
    now, started = time.time(), place.status()["startedAt"]
    last = max(now - client["connectedSeconds"] for client in json.loads(told.out))
    print(f"relay up {started - signalled:.2f} s after the signal, clients {last - started:.2f} s after that")
    assert last - started < 2.0
    eventually(lambda: "packets transmitted" in stream.text()[seen:], 40, "the pings end")
    sent, received = lost_of(stream.text()[seen:])
    print(f"{sent - received} of {sent} pings lost, a tenth of a second each")
    assert sent - received <= 20
    assert place.status()["admitted"] == 2, "it remembers whom control admitted"
    assert VIA_RELAY in place.ana.ping("ben", via="derp", within=20)


def test_official_diagnosis(place: Place) -> None:
    report = json.loads(place.ana.cli("netcheck", "--format=json").out)
    assert (report["UDP"], report["PreferredDERP"]) == (False, REGION_ID)
    place.lab.cables["ben"].allow_udp()
    report = json.loads(place.ben.cli("netcheck", "--format=json").out)
    assert (report["UDP"], report["PreferredDERP"]) == (True, REGION_ID)
    place.lab.cables["ben"].block_udp()
    if place.ana.build.version != "1.68.0":
        # That one knows no pins, and its diagnosis does not honour that the map lets it do without.
        faults = place.ana.relay_faults(REGION_ID)
        assert not faults, faults


def test_a_deleted_node_is_cut_from_the_relay_within_a_second(place: Place) -> None:
    lab = place.lab
    guest = lab.client("guest", place.ana.build.version)
    lab.cables["guest"].block_udp()
    guest.up(lab.server.create_key("lab"))
    assert VIA_RELAY in guest.ping("ben", via="derp", within=40)
    before = place.status()
    lab.server.admin("nodes", "delete", "guest", "--yes")
    began = time.monotonic()
    eventually(lambda: place.status()["clients"] < before["clients"], 3, "the guest is cut", every=0.05)
    assert time.monotonic() - began < 1.0 + 0.6, "asking takes up to half a second itself"
    assert place.status()["admitted"] == before["admitted"] - 1
    lab.dismiss(guest)
