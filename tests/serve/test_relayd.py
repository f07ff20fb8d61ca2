from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nacl.public import PrivateKey
from prometheus_client.parser import text_string_to_metric_families

from meshbox import log
from meshbox.errors import CertificateError, ConfigError, KeyFileError
from meshbox.relay.roster import Push
from meshbox.serve import relayd
from tests.serve.derpdaemon import EPOCH, RelayHome, closes, relay_config

NEVER = 0.0


def keys(count: int) -> list[PrivateKey]:
    return [PrivateKey(os.urandom(32)) for _ in range(count)]


def public(key: PrivateKey) -> bytes:
    return bytes(key.public_key)


async def test_a_lab_relay_passes_packets_between_strangers() -> None:
    async with RelayHome(admission__mode="all") as relay:
        ann, bob = await relay.client(), await relay.client()
        ann.send(bob.public, b"hello")
        assert await bob.packet() == (ann.public, b"hello")


async def test_nobody_gets_in_before_control_has_spoken() -> None:
    async with RelayHome() as relay:
        assert await relay.refuses()


async def test_those_that_control_pushed_get_in_and_a_deleted_node_is_cut_at_once() -> None:
    ann, bob = keys(2)
    async with RelayHome() as relay:
        status, answer = await relay.push(Push(EPOCH, None, 1, {public(ann): NEVER, public(bob): NEVER}))
        assert (status, answer["generation"]) == (200, 1)
        one, other = await relay.client(ann), await relay.client(bob)
        assert await relay.refuses()
        began = time.monotonic()
        status, answer = await relay.push(Push(EPOCH, 1, 2, {}, (public(ann),)))
        assert (status, answer["cut"]) == (200, 1)
        assert await closes(one, 1.0)
        assert time.monotonic() - began < 1.0
        assert await other.is_alive()
        assert await relay.refuses(ann)


async def test_an_expired_node_is_cut_within_two_beats_without_a_word_of_control() -> None:
    (ann,) = keys(1)
    async with RelayHome() as relay:
        await relay.push(Push(EPOCH, None, 1, {public(ann): time.time() + 0.3}))
        client = await relay.client(ann)
        assert await closes(client, 2.0)
        assert await relay.refuses(ann)


async def test_the_last_set_holds_over_a_restart() -> None:
    (ann,) = keys(1)
    async with RelayHome() as relay:
        await relay.push(Push(EPOCH, None, 7, {public(ann): NEVER}))
        identity = relay.daemon.derp.identity.public
    async with RelayHome(relay.home) as again:
        assert again.daemon.derp.identity.public == identity
        await again.client(ann)
        assert await again.refuses()
        status, _ = await again.push(Push(EPOCH, 7, 8, {}))
        assert status == 200, "control goes on where it was"
    assert (relay.home / "admitted.json").stat().st_mode & 0o777 == 0o600


async def test_a_push_that_does_not_fit_is_answered_with_where_the_relay_stands() -> None:
    async with RelayHome() as relay:
        await relay.push(Push(EPOCH, None, 3, {}))
        status, answer = await relay.push(Push("feedc0de", 1, 2, {}))
        assert (status, answer["epoch"], answer["generation"]) == (409, EPOCH, 3)


@pytest.mark.parametrize(("token", "status"), [("x" * 40, 200), ("y" * 40, 401), ("", 401)])
async def test_a_control_server_elsewhere_needs_the_token(tmp_path: Path, token: str, status: int) -> None:
    (tmp_path / "token").write_text("x" * 40 + "\n")
    async with RelayHome(tmp_path, admission__token_path=str(tmp_path / "token")) as relay:
        url = f"https://127.0.0.1:{relay.way.port}/admission"
        push = Push(EPOCH, None, 1, {bytes(32): NEVER})
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=push.encode(), headers=headers, ssl=False) as answer,
        ):
            assert answer.status == status
        assert relay.daemon.gate.roster.is_known is (status == 200)


async def test_without_a_token_there_is_no_such_door_to_the_net() -> None:
    async with (
        RelayHome() as relay,
        aiohttp.ClientSession() as session,
        session.post(f"https://127.0.0.1:{relay.way.port}/admission", ssl=False) as answer,
    ):
        assert answer.status == 404


async def test_a_short_token_is_refused(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    with pytest.raises(KeyFileError, match="32 characters"):
        async with RelayHome(tmp_path, admission__token_path=str(tmp_path / "token")):
            pass


async def test_the_paths_of_a_relay_with_a_listener_of_its_own() -> None:
    async with RelayHome(admission__mode="all", http_listen="127.0.0.1:0") as relay:
        for path in ("/derp/probe", "/derp/latency-check"):
            status, headers, _ = await relay.get(path)
            assert (status, headers["Access-Control-Allow-Origin"]) == (200, "*")
        assert (await relay.get("/derp"))[0] == 426
        assert "Disallow: /" in (await relay.get("/robots.txt"))[2]
        status, headers, text = await relay.get("/")
        assert status == 200 and "relay" in text
        assert headers["Strict-Transport-Security"].startswith("max-age=")
        assert (await relay.get("/no-such-page"))[0] == 404
        status, headers, _ = await relay.get(
            "/generate_204?t=1", "http_listen", headers={"X-Tailscale-Challenge": "ts_192.0.2.1"}
        )
        assert (status, headers["X-Tailscale-Response"]) == (204, "response ts_192.0.2.1")
        status, headers, _ = await relay.get("/x?y=1", "http_listen", headers={"Host": "relay.test:80"})
        assert (status, headers["Location"]) == (302, "https://relay.test/x?y=1")


@pytest.mark.parametrize(("home", "status"), [("blank", 200), ("https://example.com/", 302)])
async def test_the_home_page_can_be_blank_or_elsewhere(home: str, status: int) -> None:
    async with RelayHome(admission__mode="all", home=home) as relay:
        got, headers, text = await relay.get("/")
        assert (got, text) == (status, "")
        assert headers.get("Location", "") == ("" if home == "blank" else home)


async def test_a_made_certificate_is_announced_with_its_pin(capsys: pytest.CaptureFixture[str]) -> None:
    log.setup("info", "text")
    async with RelayHome(admission__mode="all") as relay:
        assert relay.daemon.pin.startswith("sha256-raw:")
    said = capsys.readouterr().err
    assert relay.daemon.pin in said
    assert "relay_is_open" in said


async def test_a_client_of_a_closed_relay_is_told_at_once() -> None:
    async with RelayHome(admission__mode="all") as relay:
        client = await relay.client()
        waiting = asyncio.create_task(closes(client, 2.0))
        await asyncio.sleep(0.05)
        await relay.daemon.close()
        assert await waiting
        relay.daemon = relayd.RelayDaemon(relay.config)


class ControlServer:
    """Somebody else's /verify."""

    def __init__(self, status: int = 200, body: str = '{"Allow":true}', delay: float = 0.0) -> None:
        self.status, self.body, self.delay = status, body, delay
        self.asked: list[dict[str, Any]] = []

    async def __aenter__(self) -> ControlServer:
        from aiohttp import web

        async def verify(request: web.Request) -> web.Response:
            self.asked.append(await request.json())
            await asyncio.sleep(self.delay)
            return web.Response(status=self.status, text=self.body)

        app = web.Application()
        app.add_routes([web.post("/verify", verify)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/verify"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()


async def test_another_control_server_is_asked_as_the_official_relay_asks() -> None:
    (ann,) = keys(1)
    async with (
        ControlServer(delay=0.1) as control,
        RelayHome(admission__mode="url", admission__verify_url=control.url) as relay,
    ):
        client = await relay.client(ann)
        assert control.asked == [{"NodePublic": f"nodekey:{public(ann).hex()}", "Source": "127.0.0.1"}]
        client.send(client.public, b"to myself")
        assert (await client.packet())[1] == b"to myself"


async def test_frames_sent_while_the_answer_is_awaited_are_kept() -> None:
    ann, bob = keys(2)
    async with (
        ControlServer(delay=0.2) as control,
        RelayHome(admission__mode="url", admission__verify_url=control.url) as relay,
    ):
        other = await relay.client(bob)
        client = await type(other).knock(relay.way, ann)
        from meshbox.wire.derp import FrameType, encode

        packets = [os.urandom(1300) for _ in range(40)]
        early = b"".join(encode(FrameType.SEND_PACKET, public(bob), packet) for packet in packets)
        client.writer.write(client.hello() + early)
        assert [(await other.packet())[1] for _ in packets] == packets
        client.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, '{"Allow":false}'), (403, '{"Allow":true}'), (200, "yes"), (200, '{"Allow":1}'), (500, "")],
)
async def test_what_is_no_yes_is_a_no_even_when_failing_open(status: int, body: str) -> None:
    async with (
        ControlServer(status, body) as control,
        RelayHome(
            admission__mode="url",
            admission__verify_url=control.url,
            admission__verify_fail_open=True,
        ) as relay,
    ):
        assert await relay.refuses()


@pytest.mark.parametrize("fails_open", [False, True])
async def test_a_server_that_is_away(fails_open: bool) -> None:
    async with RelayHome(
        admission__mode="url",
        admission__verify_url="http://127.0.0.1:1/verify",
        admission__verify_fail_open=fails_open,
    ) as relay:
        assert await relay.refuses() is not fails_open


def test_an_open_relay_beyond_loopback_wants_a_yes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="could use this relay"):
        relay_config(tmp_path, listen="0.0.0.0:0", admission__mode="all")
    relay_config(tmp_path, listen="0.0.0.0:0", admission__mode="all", admission__open_to_everybody=True)


def test_all_faults_are_told_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        relay_config(tmp_path, admission__mode="url", cert_path="x.pem", home="nonsense", mesh__peers=["a"])
    assert {problem.path for problem in caught.value.problems} == {
        "admission.verify_url",
        "key_path",
        "home",
        "mesh.key_path",
    }


async def test_a_missing_certificate_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(CertificateError, match="cannot read"):
        async with RelayHome(tmp_path, cert_path=str(tmp_path / "no.pem"), key_path=str(tmp_path / "no.key")):
            pass


async def test_the_local_socket_tells_status_clients_and_metrics() -> None:
    async with RelayHome(admission__mode="all", metrics_listen="127.0.0.1:0") as relay:
        ann, bob = await relay.client(), await relay.client()
        ann.send(bob.public, bytes(500))
        await bob.packet()
        ann.send(bytes(32), bytes(9))
        assert await ann.is_alive()
        status = json.loads(await relay.ask("/status"))
        assert (status["clients"], status["packetsReceived"], status["packetsDropped"]) == (2, 2, 1)
        clients = {client["nodeKey"]: client for client in json.loads(await relay.ask("/clients"))}
        assert clients[f"nodekey:{ann.public.hex()}"]["bytesReceived"] == 509
        assert clients[f"nodekey:{bob.public.hex()}"]["bytesSent"] == 500
        for text in (await relay.ask("/metrics"), (await relay.get("/debug/varz", "metrics_listen"))[2]):
            assert "\nderp_packets_received 2\n" in text
            assert '\nderp_packets_dropped{reason="unknown_dest",kind="other"} 1\n' in text
            families = {family.name for family in text_string_to_metric_families(text)}
            assert families >= {"derp_current_connections", "derper_tls_request_version", "stun_requests"}


async def test_names_for_clients_that_lost_their_resolver() -> None:
    async with RelayHome(
        admission__mode="all", bootstrap_names=["localhost"], hostnames=["relay.test", "192.0.2.7"]
    ) as relay:
        await asyncio.sleep(0.05)
        names = json.loads((await relay.get("/bootstrap-dns"))[2])
        assert names["relay.test"] == ["192.0.2.7"]
        assert "127.0.0.1" in names["localhost"] or "::1" in names["localhost"]
        assert json.loads((await relay.get("/bootstrap-dns?q=relay.test"))[2]) == {
            "relay.test": ["192.0.2.7"]
        }
