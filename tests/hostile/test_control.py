"""Broken, greedy and unlucky nodes at the control server (hostile cases 17 to 25)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from meshbox.tailnet import devices
from tests.fake.node import FakeNode, Netmap
from tests.fake.server import FakeServer, serving, write_config
from tests.hostile.stand import standing, watched
from tests.serve.plant import MemoryPlant
from tests.tailnet.build import allow, policy


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with serving(write_config(tmp_path)) as server:
        yield server


def has(hostname: str) -> object:
    return lambda netmap: netmap.peer(hostname)


class TestForeignKeys:
    async def test_whoever_asks_with_anothers_node_key_learns_and_changes_nothing(
        self, server: FakeServer
    ) -> None:
        watcher, victim = await server.joined("watcher"), await server.joined("victim")
        await watcher.until(has("victim"))
        await asyncio.sleep(0.2)
        heard, before = watcher.map.messages, server.tailnet.report(victim.map.node["ID"])
        thief = await server.joined("thief")
        await watcher.until(has("thief"))
        heard = watcher.map.messages
        thief.node_key, thief.endpoints = victim.node_key, ["6.6.6.6:6666"]
        for fields in ({}, {"Stream": False, "OmitPeers": True}, {"Stream": False, "ReadOnly": True}):
            answer = await thief.tunnel.request("POST", "/machine/map", thief.map_request(**fields))
            assert (answer.status, b"victim" in answer.body) == (401, False)
        await asyncio.sleep(0.3)
        assert server.tailnet.report(victim.map.node["ID"]) == before
        assert watcher.map.messages == heard and not victim.ended_with


class TestExpiry:
    async def test_an_expired_node_is_told_and_shown_and_not_renewed_by_asking(
        self, server: FakeServer
    ) -> None:
        watcher, lapsed = await server.joined("watcher"), await server.joined("lapsed")
        await watcher.until(has("lapsed"))
        node_id = lapsed.map.node["ID"]
        devices.expire(server.tailnet, node_id, time.time() - 1, "test", time.time())
        await watcher.until(lambda netmap: netmap.peer("lapsed").get("Expired"))
        await lapsed.until(lambda netmap: netmap.node["KeyExpiry"] < _now())
        await lapsed.listen()
        assert lapsed.map.node["KeyExpiry"] < _now() and not lapsed.map.peers
        assert (await lapsed.register()).json["NodeKeyExpired"]
        assert server.tailnet.nodes[node_id].is_expired(time.time())

    async def test_a_key_that_lapses_in_session_is_told_at_its_moment(self, server: FakeServer) -> None:
        watcher, lapsing = await server.joined("watcher"), await server.joined("lapsing")
        await watcher.until(has("lapsing"))
        at = time.time() + 1.0
        devices.expire(server.tailnet, lapsing.map.node["ID"], at, "test", time.time())
        await asyncio.sleep(0.6)
        assert not watcher.map.peer("lapsing").get("Expired")
        await watcher.until(lambda netmap: netmap.peer("lapsing").get("Expired"))
        assert time.time() - at < 1.0


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class TestRoutes:
    async def test_claimed_routes_are_only_claims(self, server: FakeServer) -> None:
        watcher, greedy = await server.joined("watcher"), await server.joined("greedy")
        claims = ["0.0.0.0/0", "::/0", "100.64.0.0/10", "not a route", "10.0.0.1/8", "300.0.0.0/8"]
        claims += [f"10.{number // 256}.{number % 256}.0/24" for number in range(1000)]
        hostinfo = greedy.hostinfo() | {"RoutableIPs": claims}
        answer = await greedy.lite(Hostinfo=hostinfo)
        assert answer.status in (200, 400)
        clean = greedy.hostinfo() | {"RoutableIPs": [c for c in claims if "/" in c and c != "300.0.0.0/8"]}
        assert (await greedy.lite(Hostinfo=clean)).status == 200
        await asyncio.sleep(0.3)
        peer = watcher.map.peer("greedy")
        assert sorted(peer["AllowedIPs"]) == sorted(peer["Addresses"]), (
            "nothing is routed that nobody approved"
        )
        assert len(server.tailnet.report(greedy.map.node["ID"]).advertised_routes) <= 256


class TestSpam:
    async def test_a_hundred_reports_a_second_are_joined_and_not_written_one_by_one(
        self, server: FakeServer
    ) -> None:
        watcher, spammer = await server.joined("watcher"), await server.joined("spammer")
        await watcher.until(has("spammer"))
        store, writes = server.tailnet.store, []
        flush, commit = store.flush, store.commit
        store.flush = lambda reports: (writes.append("flush"), flush(reports))[1]  # type: ignore[method-assign]
        store.commit = lambda steps: (writes.append("commit"), commit(steps))[1]  # type: ignore[method-assign]
        heard, began = watcher.map.messages, time.monotonic()
        for port in range(2000, 2200):
            spammer.endpoints = [f"203.0.113.9:{port}"]
            await spammer.lite()
        seconds = time.monotonic() - began
        await watcher.until(lambda netmap: netmap.peer("spammer")["Endpoints"] == spammer.endpoints)
        assert watcher.map.messages - heard <= seconds / 0.05 + 3
        assert "commit" not in writes and len(writes) <= seconds + 2


class TestRaces:
    async def test_polls_that_race_and_die_late_leave_the_node_as_it_is(self, server: FakeServer) -> None:
        """The property of presence: online exactly when a poll is open, each released exactly once."""
        watcher = await server.joined("watcher")
        node = server.node("racer")
        await node.register(server.auth_key())
        dice, lives = random.Random(7), []
        for _ in range(18):
            life = FakeNode(server.door, "racer")
            life.machine, life.node_key, life.disco_key = node.machine, node.node_key, node.disco_key
            lives.append(life)
            await (await life.connect()).map_stream(life.map_request())
            if dice.random() < 0.7:
                dice.choice(lives).tunnel.drop()
            await asyncio.sleep(dice.random() * 0.05)
        last = lives[-1]
        t = server.tailnet
        await asyncio.sleep(1.5)
        racer_id = t.by_name["racer"]
        assert t.is_online(racer_id) is not last.tunnel.closed.is_set()
        for life in lives:
            await life.close()
        await watcher.until(lambda netmap: netmap.peer("racer")["Online"] is False)
        assert t.presence.session_count == 1

    @pytest.mark.slow
    async def test_a_crowd_that_comes_back_at_once_has_its_maps_and_the_administrator_is_served(
        self, tmp_path: Path
    ) -> None:
        async with standing(tmp_path) as stand, watched(stand):
            key = await stand.auth_key("--reusable")
            crowd = [stand.node(f"n{number}") for number in range(150)]
            for node in crowd:
                assert (await node.register(key)).json["MachineAuthorized"]
                await node.close()
            began = time.monotonic()
            waits: list[float] = []

            async def administer() -> None:
                while True:
                    asked = time.monotonic()
                    reader, writer = await asyncio.open_unix_connection(str(stand.home / "api.sock"))
                    writer.write(b"GET /api/v1/status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
                    assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
                    writer.close()
                    waits.append(time.monotonic() - asked)
                    await asyncio.sleep(0.02)

            administrator = asyncio.create_task(administer())
            await asyncio.gather(*(node.listen() for node in crowd))
            seconds = time.monotonic() - began
            print(f"{len(crowd)} maps after {seconds:.1f} s, the administrator waited {max(waits):.2f} s")
            administrator.cancel()
            assert seconds < 10 and max(waits) < 1.0
            assert not any(node.ended_with for node in crowd)
            for node in crowd:
                await node.close()


class TestSight:
    def test_a_change_of_sight_reaches_viewers_whose_map_is_still_on_the_way(self) -> None:
        plant = MemoryPlant()
        secret = plant.listening(1)
        viewers = [plant.client(number) for number in range(2, 8)]
        for viewer in viewers[:3]:
            viewer.transport.protocol.pause_writing()
        for viewer in viewers:
            viewer.listen()
        t = plant.core.tailnet
        assert str(t.nodes[1].ipv4) == "100.64.0.1"
        seen = ("100.64.0.2/31", "100.64.0.4/30", "100.64.0.8")
        t.enforce(policy(acls=[allow(src, *(f"{dst}:*" for dst in seen)) for src in seen]))
        plant.run(1)
        secret.report(6666)
        plant.run(1)
        late = plant.client(8)
        late.listen()
        plant.run(1)
        for viewer in viewers[:3]:
            viewer.transport.protocol.resume_writing()
        plant.run(1)
        for viewer in (*viewers, late):
            messages = viewer.messages()
            netmap = Netmap()
            for message in messages:
                netmap.apply(message)
            assert 1 not in netmap.peers
            assert len(netmap.peers) == len(viewers)
            assert "6666" not in str(messages), "news of a node that was hidden by then"

    async def test_the_last_peer_is_removed_by_name_not_by_an_empty_list(self, server: FakeServer) -> None:
        viewer, last = await server.joined("viewer"), await server.joined("last")
        await viewer.until(has("last"))
        said: list[dict[str, object]] = []
        apply = viewer.map.apply
        viewer.map.apply = lambda message: (said.append(message), apply(message))[1]  # type: ignore[method-assign]
        last_id = last.map.node["ID"]
        devices.delete(server.tailnet, last_id, "test", time.time())
        await viewer.until(lambda netmap: not netmap.peers)
        assert any(last_id in message.get("PeersRemoved", ()) for message in said)  # type: ignore[operator]
        assert all(message.get("Peers") != [] for message in said)


class TestClocks:
    @pytest.mark.parametrize("days", [1, -1, 400])
    def test_a_step_of_the_clock_ends_only_what_has_a_date(self, days: int) -> None:
        plant = MemoryPlant()
        nodes = [plant.listening(number) for number in range(1, 4)]
        t = plant.core.tailnet
        dated = plant.clock.wall() + 3600
        devices.expire(t, 1, dated, "test", plant.clock.wall())
        plant.run(5)
        for node in nodes:
            node.messages()
        plant.clock.wall_offset += days * 86_400
        for _ in range(90):
            plant.run(1)
            for node in nodes:
                node.read()
        assert all(t.is_online(number) for number in (1, 2, 3))
        assert all(node.transport.is_open for node in nodes)
        expired = [number for number in (1, 2, 3) if t.nodes[number].is_expired(plant.clock.wall())]
        assert expired == ([1] if days > 0 else [])
        told = [message for message in nodes[1].messages() if "KeepAlive" not in message]
        assert len(told) == len(expired), "told once, not at every beat"
        assert any("KeepAlive" in message for message in nodes[2].messages()), "timers go on"
