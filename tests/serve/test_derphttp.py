from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from meshbox.serve import derphttp

NAMES = {"mesh.example": ("192.0.2.1", "2001:db8::1"), "relay.example": ("192.0.2.2",)}


@pytest.fixture
async def client() -> AsyncIterator[TestClient]:
    app = web.Application()
    app.add_routes(derphttp.routes(lambda: NAMES))
    async with TestClient(TestServer(app)) as client:
        yield client


@pytest.mark.parametrize("path", ["/derp/probe", "/derp/latency-check"])
@pytest.mark.parametrize(("method", "status"), [("GET", 200), ("HEAD", 200), ("POST", 405), ("DELETE", 405)])
async def test_probes(client: TestClient, path: str, method: str, status: int) -> None:
    answer = await client.request(method, path)
    assert answer.status == status
    if status == 200:
        assert await answer.read() == b""
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("challenge", "response"),
    [
        ("ts_192.0.2.1", "response ts_192.0.2.1"),
        ("ts_derp1.example:80", "response ts_derp1.example:80"),
        ("x" * 64, "response " + "x" * 64),
        ("x" * 65, None),
        ("", None),
        ("a b", None),
        ("a\u00e9", None),
        ("<script>", None),
    ],
)
async def test_the_captive_portal_check(client: TestClient, challenge: str, response: str | None) -> None:
    answer = await client.get("/generate_204", headers={"X-Tailscale-Challenge": challenge})
    assert answer.status == 204
    assert answer.headers.get("X-Tailscale-Response") == response
    assert "no-store" in answer.headers["Cache-Control"]


async def test_without_a_challenge_there_is_no_response(client: TestClient) -> None:
    answer = await client.get("/generate_204?t=1")
    assert "X-Tailscale-Response" not in answer.headers


async def test_bootstrap_dns_tells_what_it_knows(client: TestClient) -> None:
    everything = {name: list(addresses) for name, addresses in NAMES.items()}
    answer = await client.get("/bootstrap-dns")
    assert answer.content_type == "application/json"
    assert answer.headers["Connection"] == "close"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert await answer.json() == everything
    assert await (await client.get("/bootstrap-dns?q=mesh.example")).json() == {
        "mesh.example": ["192.0.2.1", "2001:db8::1"]
    }
    assert await (await client.get("/bootstrap-dns?q=elsewhere.example")).json() == everything
