"""The control server and a relay of its own process, together."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshbox.config import load
from meshbox.serve import relays
from meshbox.serve.relays import Relays
from meshbox.wire.derpmap import DerpMap
from meshbox.wire.keys import NodeKey
from tests.fake.server import serving, write_config
from tests.serve.derpdaemon import RelayHome
from tests.serve.test_mapfetch import ONE, published
from tests.serve.tlsends import until


def separate(relay: RelayHome) -> dict[str, object]:
    return {
        "server": {"enabled": True, "separate": True, "listen_addr": "0.0.0.0:8443", "ipv4": "192.0.2.7"},
        "push": [str(relay.config.socket)],
    }


async def test_a_separate_relay_is_told_who_is_admitted_and_tells_its_pin(tmp_path: Path) -> None:
    (tmp_path / "control").mkdir()
    async with RelayHome(tmp_path) as relay:
        path = write_config(tmp_path / "control", derp=separate(relay))
        async with serving(path) as server:
            # There before the first client can ask: without its relay in the map a client hangs up there.
            (node,) = server.tailnet.derp_map.regions[0].nodes
            assert (node.cert_name, node.derp_port, node.ipv4) == (relay.daemon.pin, 8443, "192.0.2.7")
            joined = await server.joined("laptop")
            key = NodeKey.parse(joined.node_key)
            await until(lambda: relay.daemon.gate.admits(key))


async def test_what_the_relay_said_is_known_after_a_restart_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "control").mkdir()
    async with RelayHome(tmp_path) as relay:
        path = write_config(tmp_path / "control", derp=separate(relay))
        async with serving(path) as server:
            before = server.tailnet.derp_map
    monkeypatch.setattr(relays, "FIRST_WORD", 60.0)
    async with serving(path) as server:
        assert server.tailnet.derp_map == before != DerpMap()


async def test_another_relay_is_not_taken_for_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relays, "FIRST_WORD", 0.1)
    (tmp_path / "control").mkdir()
    async with RelayHome(tmp_path) as relay:
        derp = separate(relay)
        async with serving(write_config(tmp_path / "control", derp=derp)) as server:
            assert server.tailnet.derp_map.regions
        derp["push"] = [str(tmp_path / "nobody.sock")]
        async with serving(write_config(tmp_path / "control", derp=derp)) as server:
            assert not server.tailnet.derp_map.regions


async def test_a_fetched_map_reaches_the_clients_and_files_go_over_it(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        yaml.safe_dump(
            {"regions": {2: {"regioncode": "ours", "nodes": [{"name": "2a", "hostname": "derp.ours.test"}]}}}
        )
    )
    async with published() as publisher:
        derp = {"server": {"enabled": False}, "urls": [publisher.url], "paths": [str(tmp_path / "more.yaml")]}
        async with serving(write_config(tmp_path, derp=derp)) as server:
            await until(lambda: len(server.tailnet.derp_map.regions) == 2)
            assert [region.code for region in server.tailnet.derp_map.regions] == ["nyc", "ours"]
    config = load(tmp_path / "config.yaml", {})
    again = Relays(config).map_for(config)
    assert [region.code for region in again.regions] == ["nyc", "ours"], "also without the publisher"


async def test_a_fetched_map_that_clashes_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        yaml.safe_dump({"regions": {2: {"nodes": [{"name": "1a", "hostname": "derp.ours.test"}]}}})
    )
    async with published() as publisher:
        assert "1a" in str(ONE)
        derp = {"server": {"enabled": False}, "urls": [publisher.url], "paths": [str(tmp_path / "more.yaml")]}
        async with serving(write_config(tmp_path, derp=derp)) as server:
            await until(lambda: publisher.asked >= 1)
            assert [region.id for region in server.tailnet.derp_map.regions] == [2]
