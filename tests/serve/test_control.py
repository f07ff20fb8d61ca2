"""Inside and in front of the tunnel: paths, versions, whose node key it is, and the WebSocket way in."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from meshbox.wire.websocket import BINARY
from tests.fake.client import Tunnel, fetch_key, upgrade_request
from tests.fake.noise import Initiator, Records, public_of
from tests.fake.server import FakeServer, serving, write_config
from tests.wire.test_websocket import frame, read_server_frames


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[FakeServer]:
    async with serving(write_config(tmp_path)) as server:
        yield server


async def raw(server: FakeServer, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server.door[:2])
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(65_536), 5)
    writer.close()
    return answer


class TestUpgrade:
    async def test_a_browser_is_told_what_this_is(self, server: FakeServer) -> None:
        answer = await raw(server, b"GET /ts2021 HTTP/1.1\r\nHost: h\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ") and b"proxy" in answer

    @pytest.mark.parametrize(
        "handshake",
        [b"", b"X-Tailscale-Handshake: !!!\r\n", b"X-Tailscale-Handshake: " + b"A" * 400 + b"\r\n"],
    )
    async def test_an_upgrade_without_a_readable_handshake_is_refused(
        self, server: FakeServer, handshake: bytes
    ) -> None:
        head = b"POST /ts2021 HTTP/1.1\r\nHost: h\r\nUpgrade: tailscale-control-protocol\r\n" + handshake
        assert (await raw(server, head + b"\r\n")).startswith(b"HTTP/1.1 400 ")

    async def test_another_upgrade_or_a_body_is_refused(self, server: FakeServer) -> None:
        for line in (
            b"Upgrade: websocket\r\n",
            b"Upgrade: tailscale-control-protocol\r\nContent-Length: 5\r\n",
        ):
            request = b"POST /ts2021 HTTP/1.1\r\nHost: h\r\n" + line + b"\r\nhello"
            assert (await raw(server, request)).startswith(b"HTTP/1.1 400 ")

    async def test_a_wrong_server_key_is_explained(self, server: FakeServer) -> None:
        initiation = Initiator(os.urandom(32), os.urandom(32), public_of(os.urandom(32)), 142).initiation
        answer = await raw(server, upgrade_request(initiation))
        assert answer.startswith(b"HTTP/1.1 400 ") and b"another key of this server" in answer

    async def test_everything_a_client_waits_for_comes_in_one_piece(self, server: FakeServer) -> None:
        reader, writer = await asyncio.open_connection(*server.door[:2])
        initiator = Initiator(os.urandom(32), os.urandom(32), server.door[2], 142)
        writer.write(upgrade_request(initiator.initiation))
        first = await reader.read(65_536)
        head, _, rest = first.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ") and b"Upgrade: tailscale-control-protocol" in head
        records = Records(*initiator.finish(rest[:51]))
        plain = records.feed(rest[51:])
        length = int.from_bytes(plain[5:9], "big")
        assert plain[:5] == b"\xff\xff\xffTS"
        assert plain[9 + length + 3] == 4, "SETTINGS follow the early payload"
        writer.close()


class TestWebSocket:
    async def open(self, server: FakeServer, protocol: str) -> tuple[bytes, Initiator, asyncio.StreamReader]:
        initiator = Initiator(os.urandom(32), os.urandom(32), server.door[2], 142)
        handshake = quote(base64.b64encode(initiator.initiation).decode(), safe="")
        reader, self.writer = await asyncio.open_connection(*server.door[:2])
        self.writer.write(
            f"GET /ts2021?X-Tailscale-Handshake={handshake} HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Origin: https://anywhere.example\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n".encode()
        )
        return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5), initiator, reader

    async def test_a_browser_client_gets_the_same_tunnel(self, server: FakeServer) -> None:
        head, initiator, reader = await self.open(server, "tailscale-control-protocol")
        assert head.startswith(b"HTTP/1.1 101 ")
        stream = b"".join(payload for _, payload in read_server_frames(await reader.read(65_536)))
        records = Records(*initiator.finish(stream[:51]))
        assert records.feed(stream[51:])[3] == 4, "SETTINGS, without an early payload"
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
        ping = b"\0\0\x08\x06\0\0\0\0\0" + b"pingpong"
        self.writer.write(frame(BINARY, records.seal(preface + ping)))
        answer = b""
        async with asyncio.timeout(5):
            while b"pingpong" not in answer:
                data = await reader.read(65_536)
                answer += records.feed(b"".join(payload for _, payload in read_server_frames(data)))
        self.writer.close()

    async def test_another_subprotocol_is_refused(self, server: FakeServer) -> None:
        head, _, _ = await self.open(server, "derp")
        assert head.startswith(b"HTTP/1.1 400 ")
        self.writer.close()


class TestPaths:
    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("GET", "/machine/register", 405),
            ("GET", "/machine/map", 405),
            ("POST", "/machine/update-health", 204),
            ("POST", "/machine/id-token", 501),
            ("GET", "/machine/tka/init/begin", 501),
            ("POST", "/machine/webclient/init/1/to/2", 501),
            ("GET", "/metrics", 404),
            ("GET", "/machine/mapx", 404),
            ("GET", "/", 404),
            ("POST", "/key", 404),
        ],
    )
    async def test_a_stranger_finds_a_closed_list(
        self, server: FakeServer, method: str, path: str, status: int
    ) -> None:
        tunnel = await server.node("stranger").connect()
        answer = await tunnel.request(method, path, b"{}" if method == "POST" else None)
        assert answer.status == status
        assert not answer.body or answer.headers["content-type"].startswith("text/plain")

    async def test_whoami_tells_the_proven_key(self, server: FakeServer) -> None:
        node = server.node("stranger")
        answer = await (await node.connect()).request("GET", "/machine/whoami")
        assert node.machine_key in answer.body.decode()

    async def test_several_requests_on_one_tunnel_are_answered_in_their_own_streams(
        self, server: FakeServer
    ) -> None:
        tunnel = await server.node("stranger").connect()
        answers = await asyncio.gather(*(tunnel.request("GET", "/machine/whoami") for _ in range(20)))
        assert {answer.status for answer in answers} == {200}


class TestRefusals:
    async def test_a_client_too_old_is_told_the_oldest_release_at_both_doors(
        self, server: FakeServer
    ) -> None:
        node = server.node("old", version=90)
        register = await node.register(server.auth_key())
        assert register.status == 400 and b"1.68" in register.body
        polled = await node.tunnel.request("POST", "/machine/map", node.map_request())
        assert polled.status == 400 and b"1.68" in polled.body

    @pytest.mark.parametrize(
        "body", [b"", b"[" * 100_000, b'{"Version":"142"}', b"\xff\xfe", b"null", b"NaN"]
    )
    @pytest.mark.parametrize("path", ["/machine/register", "/machine/map"])
    async def test_bad_json_is_a_400_with_a_reason(self, server: FakeServer, path: str, body: bytes) -> None:
        tunnel = await server.node("odd").connect()
        answer = await tunnel.request("POST", path, body)
        assert answer.status == 400 and len(answer.body) > 10

    async def test_a_map_request_for_another_machines_node_tells_nothing(self, server: FakeServer) -> None:
        victim = await server.joined("victim")
        thief = server.node("thief")
        thief.node_key = victim.node_key
        for fields in ({}, {"Stream": False, "OmitPeers": True}, {"Stream": False}):
            tunnel = await thief.connect()
            answer = await tunnel.request("POST", "/machine/map", thief.map_request(**fields))
            assert answer.status == 401
            assert b"victim" not in answer.body
        assert (await thief.register()).json["Error"]
        assert not victim.poll.stream.ended.is_set()
        assert len(server.tailnet.nodes) == 1

    async def test_a_node_that_is_not_there_is_a_404_with_text(self, server: FakeServer) -> None:
        with pytest.raises(ConnectionError, match="404 node not found"):
            await server.node("nobody").listen()

    async def test_a_bug_is_a_500_that_tells_nothing_and_the_tunnel_goes_on(
        self, server: FakeServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tunnel = await server.node("odd").connect()
        with monkeypatch.context() as patch:
            patch.setattr("meshbox.serve.maps.parse_map", lambda body: 1 / 0)
            answer = await tunnel.request("POST", "/machine/map", b"{}")
        assert answer.status == 500 and b"ZeroDivision" not in answer.body
        assert (await tunnel.request("GET", "/machine/whoami")).status == 200


class TestTunnelsOfAMachine:
    async def test_a_strangers_tunnel_ends_at_its_deadline_and_a_nodes_does_not(self, tmp_path: Path) -> None:
        limits = {"idle_tunnel_timeout": "1s"}
        async with serving(write_config(tmp_path, limits=limits)) as server:
            node = await server.joined("node")
            stranger = await server.node("stranger").connect()
            await asyncio.wait_for(stranger.closed.wait(), 4)
            assert not node.tunnel.closed.is_set()
            assert server.metrics.value("meshbox_refused_total", "tunnel_unauthorised") == 1

    async def test_the_ninth_tunnel_of_a_machine_ends_an_idle_one_never_the_poll(
        self, server: FakeServer
    ) -> None:
        node = await server.joined("node")
        tunnels = []
        for _ in range(9):
            tunnel = await Tunnel.open(*server.door, node.machine)
            answer = await tunnel.request(
                "POST", "/machine/map", node.map_request(Stream=False, OmitPeers=True)
            )
            assert answer.status == 200
            tunnels.append(tunnel)
        await asyncio.wait_for(tunnels[0].closed.wait(), 2)
        assert not node.tunnel.closed.is_set()
        assert server.app.plant.control.tunnel_count == 8
        for tunnel in tunnels:
            await tunnel.close()


async def test_the_key_is_the_one_the_handshake_wants(server: FakeServer) -> None:
    assert await fetch_key(*server.door[:2]) == server.door[2]
