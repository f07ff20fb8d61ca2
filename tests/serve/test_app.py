"""The whole server over real sockets, with fake clients: join, map, news, ends."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from meshbox.errors import ListenError, StoreBroken
from meshbox.serve.app import App
from meshbox.serve.policydesk import Change
from meshbox.tailnet import devices, users
from tests.fake.node import Netmap
from tests.fake.server import FakeServer, configured, serving, write_config


def online(hostname: str) -> object:
    return lambda netmap: (netmap.peer(hostname) or {}).get("Online") is True


def offline(hostname: str) -> object:
    return lambda netmap: (netmap.peer(hostname) or {}).get("Online") is False


async def test_two_nodes_join_and_see_each_other(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one = await server.joined("one")
        two = await server.joined("two")
        await one.until(online("two"))
        peer = two.map.peer("one")
        assert peer is not None and peer["Online"] and peer["Endpoints"] == one.endpoints
        assert one.map.node["Name"] == "one.mesh.test."
        assert one.map.users[peer["User"]]["LoginName"]
        assert one.map.dns["Domains"] == ["mesh.test"]
        assert one.map.filter


async def test_what_a_node_reports_reaches_its_peers_and_an_equal_report_is_silent(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one, two = await server.joined("one"), await server.joined("two")
        await one.until(online("two"))
        two.endpoints = ["203.0.113.5:41641"]
        answer = await two.lite()
        assert (answer.status, answer.body) == (200, b"")
        await one.until(lambda netmap: netmap.peer("two")["Endpoints"] == two.endpoints)
        heard = one.map.messages
        await two.lite()
        await asyncio.sleep(0.2)
        assert one.map.messages == heard


async def test_offline_is_told_within_two_seconds_and_a_moment_away_is_not_offline(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one, two = await server.joined("one"), await server.joined("two")
        await one.until(online("two"))
        two.tunnel.drop()
        await two.listen()
        await asyncio.sleep(1.5)
        assert one.map.peer("two")["Online"]
        began = time.monotonic()
        two.tunnel.drop()
        await one.until(offline("two"))
        assert time.monotonic() - began < 2.0
        assert one.map.peer("two")["LastSeen"]


async def test_a_new_poll_replaces_the_old_one_and_the_node_stays_online(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one, two = await server.joined("one"), await server.joined("two")
        await one.until(online("two"))
        first_tunnel, first_poll = two.tunnel, two.poll
        two.tunnel = None
        await two.listen()
        await asyncio.wait_for(first_poll.stream.ended.wait(), 2)
        assert not first_tunnel.closed.is_set()
        await first_tunnel.close()
        await asyncio.sleep(1.3)
        assert one.map.peer("two")["Online"]
        assert len(server.app.plant.sessions) == 2


async def test_a_cancelled_poll_ends_the_session(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one, two = await server.joined("one"), await server.joined("two")
        await one.until(online("two"))
        two.tunnel.reset(two.poll.stream)
        await one.until(offline("two"))


async def test_one_message_for_who_asks_once(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        await server.joined("one")
        two = await server.joined("two")
        poll = await two.tunnel.map_stream(two.map_request(Stream=False, Compress=""))
        netmap = Netmap()
        netmap.apply(await poll.next())
        assert netmap.peer("one")
        with pytest.raises(EOFError):
            await poll.next(2)
        assert len(server.app.plant.sessions) == 2


async def test_rename_expire_and_delete_are_seen_by_peers_and_by_the_node(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one, two = await server.joined("one"), await server.joined("two")
        await one.until(online("two"))
        t, two_id = server.tailnet, two.map.node["ID"]
        devices.rename(t, two_id, "renamed", "test", time.time())
        await one.until(lambda netmap: netmap.peer("renamed"))
        await two.until(lambda netmap: netmap.node["Name"] == "renamed.mesh.test.")
        devices.delete(t, two_id, "test", time.time())
        await one.until(lambda netmap: not netmap.peers)
        await two.until(lambda netmap: netmap.node.get("KeyExpiry", "") < "2020" or two.ended_with)
        await asyncio.wait_for(two.poll.stream.ended.wait(), 2)


async def test_a_slow_reader_hears_the_present_truth_not_the_history(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one = await server.joined("one")
        slow = server.node("slow")
        await slow.register(server.auth_key())
        tunnel = await slow.connect()
        poll = await tunnel.map_stream(slow.map_request(), reading=False)
        slow.map.apply(await poll.next())
        session = next(s for s in server.app.plant.sessions.all() if s.node_id == slow.map.node["ID"])
        # The client's window closes; a thousand changes later one message says how it is.
        session.tunnel.h2._streams[session.stream_id].window = 0
        for port in range(2000, 2200):
            one.endpoints = [f"203.0.113.5:{port}"]
            await one.lite()
        await asyncio.sleep(0.3)
        assert session.is_blocked
        session.tunnel.h2._streams[session.stream_id].window = 1 << 20
        session.tunnel.pump()
        seen = []
        async with asyncio.timeout(5):
            while (slow.map.peer("one") or {}).get("Endpoints") != one.endpoints:
                slow.map.apply(await poll.next())
                seen.append(slow.map.messages)
        assert len(seen) <= 4


async def test_a_restart_keeps_everything_but_the_sessions(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    async with serving(path) as server:
        key = server.auth_key(reusable=False)
        one = server.node("one")
        assert (await one.register(key)).json["MachineAuthorized"]
        await one.listen()
        before = one.map.node
    assert "goaway" in one.ended_with or one.ended_with
    async with serving(path) as server:
        again = server.adopt(one)
        # Containers send their spent key again at each start.
        assert (await again.register(key)).json["MachineAuthorized"]
        await again.listen()
        same = ("ID", "StableID", "Name", "Addresses", "User", "Key", "Created")
        assert {name: again.map.node[name] for name in same} == {name: before[name] for name in same}


async def test_at_the_end_clients_are_told_to_come_back(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one = await server.joined("one")
        await server.app.close()
        await asyncio.wait_for(one.tunnel.closed.wait(), 2)
        assert one.tunnel.goaway == (0, "")
        assert one.poll.stream.ended.is_set()
        server.is_open = False


async def test_a_whole_process_reloads_on_sighup_and_ends_on_sigterm(tmp_path: Path) -> None:
    path = write_config(tmp_path, dns={"base_domain": "old.test"})
    async with serving(path) as server:
        one = await server.joined("one")
        write_config(tmp_path, dns={"base_domain": "old.test", "search_domains": ["extra.test"]})
        server.app.reload(server.manager)
        await one.until(lambda netmap: "extra.test" in netmap.dns["Domains"])
        path.write_text("listen_addr: [not, an, address]\n")
        server.app.reload(server.manager)
        assert server.app.config.dns.search_domains == ("extra.test",)
        assert not one.tunnel.closed.is_set()


async def test_the_policy_file_is_read_at_start_and_on_reload_and_a_broken_one_stops_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "acl.hujson"
    file.write_text('{"acls": []}')
    path = write_config(tmp_path, policy={"path": "acl.hujson"})

    async def reloaded(server: FakeServer, text: str) -> str:
        file.write_text(text)
        server.app.reload(server.manager)
        await asyncio.gather(*server.app._tasks)
        assert server.app.desk.text is not None
        return server.app.desk.text

    async with serving(path) as server:
        assert server.tailnet.policy is not None and server.tailnet.policy.actor == "file:acl.hujson"
        await server.joined("one")
        assert await reloaded(server, '{\n "acls": [],\n "groups": 7\n}') == '{"acls": []}'
        assert f"{file}: line 3, column 12" in server.app.desk.fault
        good = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}]}'
        assert await reloaded(server, good) == good and not server.app.desk.fault
    file.write_text("{")
    async with serving(path) as server:
        assert server.app.desk.text == good and "line 1, column 2" in server.app.desk.fault
        assert [entry.id for entry in server.tailnet.store.policy_versions(9)] == [2, 1]


async def test_a_change_of_policy_or_role_reaches_the_nodes_that_listen(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one, two = await server.joined("one"), await server.joined("two")
        await one.until(online("two"))
        desk, t = server.app.desk, server.tailnet
        admins = '{"acls": [{"action": "accept", "src": ["autogroup:admin"], "dst": ["*:22"]}]}'
        await desk.put(Change(admins, "test"))
        await one.until(lambda netmap: not netmap.peers)
        users.set_role(t, t.by_user_name["ana"], "admin", "test", time.time())
        await one.until(lambda netmap: netmap.peer("two"))
        await desk.put(Change('{"acls": []}', "test"))
        await two.until(lambda netmap: not netmap.peers)
        await desk.restore(1, "test", "", None)
        await two.until(lambda netmap: netmap.peer("one"))


async def test_what_cannot_be_opened_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    async with serving(path) as server:
        port = server.door[1]
        second = App(configured(path), path)
        with pytest.raises(StoreBroken, match="in use by another meshbox"):
            await second.open()
        await second.close()
        (tmp_path / "other").mkdir()
        third_path = write_config(tmp_path / "other", listen_addr=f"127.0.0.1:{port}")
        third = App(configured(third_path), third_path)
        with pytest.raises(ListenError, match=f"127.0.0.1:{port}.*taken by another program"):
            await third.open()
        await third.close()
        assert len(server.app.plant.core.tailnet.nodes) == 0


async def test_fifty_nodes_at_once_all_know_each_other(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        key = server.auth_key()
        nodes = await asyncio.gather(*(server.joined(f"n{number}", key) for number in range(50)))
        for node in nodes:
            await node.until(lambda netmap: len(netmap.peers) == 49)
            await node.until(lambda netmap: all(peer["Online"] for peer in netmap.peers.values()))
        assert server.metrics.value("meshbox_registrations_total", "new") == 50


def test_signals_end_a_real_process(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = write_config(tmp_path)
    command = [sys.executable, "-m", "meshbox.cli", "-c", str(path), "serve"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        for _ in range(100):
            if (tmp_path / "api.sock").exists():
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGHUP)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


async def test_broken_records_keep_nobody_out_and_what_was_refused_shows_in_health(tmp_path: Path) -> None:
    records, dns = tmp_path / "records.json", {"base_domain": "mesh.test"}
    path = write_config(tmp_path, dns={**dns, "extra_records_path": str(records)})

    def reload(server: FakeServer) -> set[str]:
        server.app.reload(server.manager)
        refusals = server.app._refusals()
        return {what for what, refusal in refusals.items() if refusal()}

    records.write_text("[{")
    async with serving(path) as server:
        one = await server.joined("one")
        assert server.app.health.status == "warn" and "records" in server.app.health.doubts()
        records.write_text('[{"name": "a.mesh.test", "type": "A", "value": "100.64.0.9"}]')
        assert reload(server) == set()
        await one.until(lambda netmap: "a.mesh.test" in str(netmap.dns.get("ExtraRecords")))
        path.write_text("nonsense: 1")
        assert reload(server) == {"configuration"}
        write_config(tmp_path)
        assert reload(server) == set()
