"""Attributes, audit entries and features: only for the node of the machine, and not without measure."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from meshbox.serve.clientcalls import WRITES_PER_MINUTE
from tests.fake.client import Answer
from tests.fake.node import FakeNode
from tests.fake.server import FakeServer, serving, write_config

PATHS = {
    "set-device-attr": "PATCH",
    "audit-log": "POST",
    "feature/query": "POST",
    "set-dns": "POST",
    "ssh/recording": "POST",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with serving(write_config(tmp_path, posture={"client_attributes": True})) as server:
        yield server


async def call(node: FakeNode, path: str, **fields: Any) -> Answer:
    tunnel = await node.connect()
    return await tunnel.request(PATHS[path], f"/machine/{path}", {"NodeKey": node.node_key} | fields)


async def test_a_device_sets_its_own_attributes(server: FakeServer) -> None:
    node = await server.joined("lab")
    answer = await call(node, "set-device-attr", Update={"custom:tier": "gold"})
    assert answer.status == 200 and server.tailnet.nodes[1].attributes == (("custom:tier", "gold"),)
    assert (await call(node, "set-device-attr", Update={"node:os": "plan9"})).status == 400
    assert (await call(node, "set-device-attr", Update={"custom:tier": None})).status == 200
    assert server.tailnet.nodes[1].attributes == ()


async def test_unless_it_may_not(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        node = await server.joined("lab")
        answer = await call(node, "set-device-attr", Update={"custom:tier": "gold"})
        assert answer.status == 403 and server.tailnet.nodes[1].attributes == ()


async def test_what_a_user_did_stands_in_the_audit(server: FakeServer) -> None:
    node = await server.joined("lab")
    assert (await call(node, "audit-log", Action="DISCONNECT_NODE", Details="lunch")).status == 200
    entry = server.app._store.newest_audit(1)[0]  # type: ignore[union-attr]
    assert (entry.actor, entry.action, entry.object, entry.detail) == (
        "node:lab",
        "client.disconnect_node",
        "lab",
        "lunch",
    )


async def test_a_session_that_was_not_recorded_stands_in_the_audit(server: FakeServer) -> None:
    await server.joined("ana")
    node = await server.joined("web")
    attempts = [{"FailureMessage": "no route"}]
    fields = {"EventType": 3, "SrcNode": 1, "LocalUser": "root", "RecordingAttempts": attempts}
    assert (await call(node, "ssh/recording", **fields)).status == 201
    entry = server.app._store.newest_audit(1)[0]  # type: ignore[union-attr]
    assert (entry.actor, entry.action, entry.object) == ("node:web", "ssh.not_recorded", "web")
    assert entry.detail == "root from ana unrecorded: no route"


async def test_features_are_explained(server: FakeServer) -> None:
    node = await server.joined("lab")
    for feature, word in (("serve", "--http=80"), ("funnel", "internet"), ("teleport", "does not know")):
        answer = await call(node, "feature/query", Feature=feature)
        assert answer.status == 200 and word in answer.json["Text"] and "Complete" not in answer.json


async def test_a_tailnet_without_certificates_says_so(server: FakeServer) -> None:
    node = await server.joined("lab")
    answer = await call(node, "set-dns", Name="_acme-challenge.lab.x", Type="TXT", Value="v")
    assert answer.status == 501 and b"no certificates" in answer.body


@pytest.mark.parametrize("path", PATHS)
async def test_only_for_the_node_of_this_machine(server: FakeServer, path: str) -> None:
    node, thief = await server.joined("lab"), await server.joined("thief")
    sound = {"Update": {"custom:x": 1}, "Action": "X", "Feature": "serve", "EventType": 1}
    answer = await call(thief, path, NodeKey=node.node_key, **sound)
    assert answer.status == 401 and server.tailnet.nodes[1].attributes == ()
    stranger = server.node("stranger")
    assert (await call(stranger, path, **sound)).status == 404


async def test_writes_are_rationed(server: FakeServer) -> None:
    node = await server.joined("lab")
    statuses = [(await call(node, "audit-log", Action="X")).status for _ in range(WRITES_PER_MINUTE + 1)]
    assert statuses == [200] * WRITES_PER_MINUTE + [429]
    assert (await call(node, "set-device-attr", Update={"custom:x": 1})).status == 429
