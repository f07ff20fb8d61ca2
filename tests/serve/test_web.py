"""Plain HTTP on the public listener: the key, health, and who may ask whether a node may relay."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.fake.server import FakeServer, serving, write_config


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with serving(write_config(tmp_path)) as server:
        yield server


async def ask(server: FakeServer, method: str, path: str, **more: Any) -> tuple[int, Any, bytes]:
    async with aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.door[1]}{path}"
        async with session.request(method, url, **more) as answer:
            return answer.status, answer.headers, await answer.read()


async def test_the_key_is_stable_and_the_stand_in_for_the_old_one_is_not_zero(server: FakeServer) -> None:
    status, headers, body = await ask(server, "GET", "/key?v=142")
    keys = json.loads(body)
    assert status == 200 and headers["Content-Type"].startswith("application/json")
    assert keys["publicKey"] == "mkey:" + server.door[2].hex()
    assert keys["legacyPublicKey"] not in ("mkey:" + "0" * 64, keys["publicKey"])
    assert (await ask(server, "GET", "/key"))[2] == body


async def test_health_is_one_word_and_a_version_is_elsewhere(server: FakeServer) -> None:
    status, headers, body = await ask(server, "GET", "/health")
    assert (status, json.loads(body)) == (200, {"status": "pass"})
    assert headers["Content-Type"].startswith("application/health+json")
    assert json.loads((await ask(server, "GET", "/version"))[2])["version"]


async def test_a_server_that_cannot_write_says_fail_and_nothing_more(
    server: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(server.app.health), "problems", lambda self: {"store": "the disk is full"})
    status, _, body = await ask(server, "GET", "/health")
    assert (status, json.loads(body)) == (503, {"status": "fail"})


async def test_no_answer_names_the_software(server: FakeServer) -> None:
    for path in ("/key", "/nothing", "/robots.txt", "/derp/probe"):
        _, headers, _ = await ask(server, "GET", path)
        assert "Server" not in headers
        assert headers["X-Content-Type-Options"] == "nosniff"


class TestVerify:
    async def verify(self, server: FakeServer, body: bytes, **headers: str) -> tuple[int, bytes]:
        status, _, answer = await ask(server, "POST", "/verify", data=body, headers=headers)
        return status, answer

    def body(self, key: str) -> bytes:
        return json.dumps({"NodePublic": key, "Source": "192.0.2.1"}).encode()

    async def test_nodes_may_relay_and_strangers_may_not(self, server: FakeServer) -> None:
        node = await server.joined("node")
        assert await self.verify(server, self.body(node.node_key)) == (200, b'{"Allow": true}')
        assert await self.verify(server, self.body("nodekey:" + "ab" * 32)) == (200, b'{"Allow": false}')

    @pytest.mark.parametrize(
        "body", [b"", b"[]", b"nonsense", b'{"NodePublic": 7}', b'{"NodePublic": "mkey:"}']
    )
    async def test_nonsense_is_400(self, server: FakeServer, body: bytes) -> None:
        assert (await self.verify(server, body))[0] == 400

    async def test_a_long_body_is_413(self, server: FakeServer) -> None:
        assert (await self.verify(server, b"x" * 5000))[0] == 413

    async def test_only_relays_of_ours_may_ask(self, tmp_path: Path) -> None:
        relays = tmp_path / "derp.yaml"
        relays.write_text(
            "regions: {900: {regionid: 900, regioncode: x, regionname: X, nodes: "
            "[{name: 900a, regionid: 900, hostname: r.example.org, ipv4: 203.0.113.9}]}}"
        )
        derp = {"server": {"enabled": False}, "paths": [str(relays)]}
        path = write_config(tmp_path, trusted_proxies=["127.0.0.1/32"], derp=derp)
        async with serving(path) as server:
            node = await server.joined("node")
            body = self.body(node.node_key)
            header = "X-Forwarded-For"
            assert (await self.verify(server, body, **{header: "203.0.113.9"}))[0] == 200
            status, answer = await self.verify(server, body, **{header: "198.51.100.66"})
            assert status == 403 and b"Allow" not in answer
