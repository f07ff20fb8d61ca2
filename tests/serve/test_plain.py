"""Port 80 beside an https server: challenges, what clients ask for there, and the way to https."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fake.client import fetch_key
from tests.fake.server import FakeServer, serving, write_config
from tests.serve.test_certificates import make

TOKEN = "t" * 43


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    cert, key = make(tmp_path / "tls")
    webroot = tmp_path / "www/.well-known/acme-challenge"
    webroot.mkdir(parents=True)
    (webroot / TOKEN).write_text("proof")
    path = write_config(
        tmp_path,
        server_url="https://mesh.example",
        tls_cert_path=str(cert),
        tls_key_path=str(key),
        http={"listen_addr": "127.0.0.1:0", "webroot": str(tmp_path / "www")},
        derp={"server": {"enabled": True, "stun_listen_addr": "127.0.0.1:0"}},
    )
    async with serving(path, tls=True) as server:
        yield server


async def ask(server: FakeServer, target: str, method: str = "GET") -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.app.ports["http.listen_addr"])
    writer.write(f"{method} {target} HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n".encode())
    answer = (await asyncio.wait_for(reader.read(), 5)).decode()
    writer.close()
    return answer


async def test_a_challenge_is_answered(server: FakeServer) -> None:
    answer = await ask(server, f"/.well-known/acme-challenge/{TOKEN}")
    assert answer.startswith("HTTP/1.1 200") and answer.endswith("\r\n\r\nproof")
    assert (await ask(server, "/.well-known/acme-challenge/" + "u" * 43)).startswith("HTTP/1.1 404")


async def test_a_page_is_found_at_the_server_s_own_url_whatever_host_was_asked(server: FakeServer) -> None:
    for target in ("/", "/register/abc?x=1%202", "//evil.example/", "/a%2fb"):
        answer = await ask(server, target)
        assert answer.startswith("HTTP/1.1 308")
        assert f"Location: https://mesh.example{target}\r\n" in answer
        assert "evil.example" not in answer.replace(target, "")


async def test_what_travels_with_a_secret_is_refused_and_not_sent_on(server: FakeServer) -> None:
    for method in ("POST", "DELETE"):
        answer = await ask(server, "/api/v1/user", method)
        assert answer.startswith("HTTP/1.1 403") and "use https://mesh.example" in answer


async def test_clients_get_key_tunnel_and_portal_check(server: FakeServer) -> None:
    assert (await ask(server, "/generate_204")).startswith("HTTP/1.1 204")
    assert '"status": "pass"' in await ask(server, "/health")
    port = server.app.ports["http.listen_addr"]
    server.door = ("127.0.0.1", port, await fetch_key("127.0.0.1", port))
    node = await server.joined("over-port-80")
    assert node.map.node["Name"]
