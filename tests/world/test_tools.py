"""The official diagnostic tools agree that the server and the relay are in order."""

from __future__ import annotations

import json

from tests.world.clients import CACHE
from tests.world.net import Net
from tests.world.server import REGION_ID

REGION = str(REGION_ID)


def test_netcheck_measures_our_relay_by_udp(net: Net) -> None:
    report = json.loads(net.ana.cli("netcheck", "--format=json").out)
    assert report["UDP"] is True
    assert report["PreferredDERP"] == REGION_ID
    assert report["RegionLatency"].keys() == {REGION}
    assert report["GlobalV4"].startswith(str(net.lab.cables["ana"].address))


def test_netcheck_measures_our_relay_by_https_without_udp(net: Net) -> None:
    net.lab.cables["ana"].block_udp()
    report = json.loads(net.ana.cli("netcheck", "--format=json").out)
    assert report["UDP"] is False
    assert report["PreferredDERP"] == REGION_ID


def tsp(net: Net, *words: str) -> str:
    """Run `tsp`, the official low-level protocol client, on ana's machine; returns what it prints."""
    return net.ana.host.run(str(CACHE / "tsp" / "tsp"), *words).out


def test_tsp_registers_and_reads_a_map(net: Net) -> None:
    file = str(net.lab.directory / "tsp.json")
    tsp(net, "-s", net.server.url, "new-node", "-o", file)
    key = net.lab.directory / "tsp.key"  # tsp takes only keys of the hosted service on its command line
    key.write_text(net.key)
    registered = json.loads(tsp(net, "register", "-n", file, "--hostname=tsp", f"--auth-key={key}"))
    assert registered["MachineAuthorized"] is True
    assert not registered.get("AuthURL")

    whole = json.loads(tsp(net, "map", "-n", file))
    assert whole["Node"]["Name"] == "tsp.mesh.lab."
    assert {peer["Name"] for peer in whole["Peers"]} >= {"ana.mesh.lab.", "ben.mesh.lab."}
    assert whole["DERPMap"]["Regions"].keys() == {REGION}
    net.server.admin("nodes", "delete", "tsp", "--yes")
