"""Certificates from a real authority: pebble, which refuses nonces, gives renewal advice and says no."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from meshbox import log
from tests.fake.server import FakeServer, serving, write_config
from tests.serve.acme.pebble import Pebble
from tests.world.ports import free_port

pytestmark = pytest.mark.slow

HOST = "mesh.test"


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    lines: list[tuple[str, dict[str, Any]]] = []
    real = log.emit

    def emit(event: str, /, **fields: object) -> None:
        lines.append((event, dict(fields)))
        real(event, **fields)

    monkeypatch.setattr(log, "emit", emit)
    return lines


def write(directory: Path, pebble: Pebble, http_port: int, host: str = HOST, **acme: Any) -> Path:
    wanted = {"enabled": True, "directory_url": pebble.directory_url, "ca_path": str(pebble.trust), **acme}
    return write_config(
        directory,
        server_url=f"https://{host}",
        dns={"base_domain": "inner.test"},
        http={"listen_addr": f"127.0.0.1:{http_port}"},
        acme=wanted,
    )


@asynccontextmanager
async def open_server(path: Path) -> AsyncIterator[FakeServer]:
    async with serving(path, tls=True) as server:
        yield server


async def until(fact: Callable[[], object], within: float = 20.0) -> None:
    deadline = time.monotonic() + within
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.05)


async def leaf(server: FakeServer) -> x509.Certificate:
    """What a new handshake gets."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", server.app.ports["listen_addr"], ssl=context)
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return x509.load_der_x509_certificate(der)


async def greet(server: FakeServer, pebble: Pebble, host: str) -> bytes:
    """Ask for /key as a client does that trusts the authority and knows the host."""
    context = ssl.create_default_context(cadata=pebble.root())
    port = server.app.ports["listen_addr"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
    writer.write(b"GET /key?v=100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


def renewals(server: FakeServer, result: str) -> float:
    value: float = server.metrics.value("meshbox_certificate_renewals_total", result)
    return value


async def test_it_starts_without_one_and_gets_one(tmp_path: Path, said: Any) -> None:
    port = free_port()
    with Pebble(tmp_path, port) as pebble:
        async with open_server(write(tmp_path, pebble, port)) as server:
            await until(lambda: renewals(server, "obtained"))
            answer = await greet(server, pebble, HOST)
            assert answer.startswith(b"HTTP/1.1 200 OK") and b"mkey:" in answer
            assert server.app.health.status == "pass"
            facts = server.app._facts()["certificate"]
            assert facts["source"] == "acme" and facts["expiresAt"] and not facts["trouble"]
            first = (await leaf(server)).serial_number
        # The next start uses what is kept, and asks for nothing.
        async with open_server(write(tmp_path, pebble, port)) as server:
            assert (await leaf(server)).serial_number == first
            await asyncio.sleep(0.5)
            assert (await leaf(server)).serial_number == first
        # Another authority in the configuration means another certificate.
        other = pebble.directory_url + "?other"
        async with open_server(write(tmp_path, pebble, port, directory_url=other)) as server:
            await until(lambda: renewals(server, "obtained"))
            assert (await leaf(server)).serial_number != first
    kept = tmp_path / "acme"
    assert {file.name for file in kept.iterdir()} == {
        "account.key", "certificate.pem", "standing.json", "temporary.crt", "temporary.key",
    }  # fmt: skip
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in kept.iterdir())
    events = [event for event, _ in said if event.startswith("certificate")]
    assert events == ["certificate_obtained"] * 2


async def test_a_bare_address_gets_the_short_lived_kind(tmp_path: Path) -> None:
    port = free_port()
    with Pebble(tmp_path, port) as pebble:
        async with open_server(write(tmp_path, pebble, port, host="127.0.0.1")) as server:
            await until(lambda: renewals(server, "obtained"))
            assert (await greet(server, pebble, "127.0.0.1")).startswith(b"HTTP/1.1 200")
            left = server.app._tls.left
            assert 5 * 86_400 < left <= 6 * 86_400


async def test_advice_to_renew_is_followed_and_drops_nobody(tmp_path: Path, said: Any) -> None:
    port = free_port()
    with Pebble(tmp_path, port, default=3600) as pebble:
        path = write(tmp_path, pebble, port)
        async with open_server(path) as server:
            await until(lambda: renewals(server, "obtained"))
            old = await leaf(server)
            context = ssl.create_default_context(cadata=pebble.root())
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.app.ports["listen_addr"], ssl=context, server_hostname=HOST
            )
            writer.write(b"GET /key?v=100 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
            # Long enough ago for the least use of an hour's certificate.
            keeper = server.app._tls._keeper
            keeper._standing = replace(keeper._standing, obtained_at=time.time() - 1800)
            pebble.advise(old, time.time() - 7200, time.time() - 3600)
            server.app.reload(server.manager)
            await until(lambda: renewals(server, "obtained") == 2)
            assert (await leaf(server)).serial_number != old.serial_number
            writer.write(b"GET /key?v=100 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            writer.close()
            assert pebble.said("is a replacement of") == 1
    reasons = [fields["reason"] for event, fields in said if event == "certificate_obtained"]
    assert reasons == ["there was none", "the authority asked for it"]


async def test_renewals_go_on_by_themselves(tmp_path: Path) -> None:
    port = free_port()
    with Pebble(tmp_path, port, default=12) as pebble:
        async with open_server(write(tmp_path, pebble, port)) as server:
            await until(lambda: renewals(server, "obtained") >= 3, 40)
            assert server.app.health.status == "pass"
            assert renewals(server, "failed") == 0


async def test_a_refusal_is_said_kept_and_tried_again_when_told(tmp_path: Path, said: Any) -> None:
    port = free_port()
    with Pebble(tmp_path, port) as pebble:
        path = write(tmp_path, pebble, port, host="refused.test")
        async with open_server(path) as server:
            await until(lambda: renewals(server, "failed"))
            assert server.app.health.status == "fail"
            assert "refused.test" in server.app.health.problems()["certificate"]
            assert server.app.health.doubts() == {}
            assert server.app._tls.left == 0
            [fields] = [fields for event, fields in said if event == "certificate_renewal_failed"]
            assert "refused.test" in fields["reason"] and 300 <= fields["seconds"] <= 375
            temporary = await leaf(server)
            assert temporary.issuer == temporary.subject
        # A restart does not ask again before the time; a reload does.
        async with open_server(path) as server:
            await asyncio.sleep(0.5)
            assert renewals(server, "failed") == 0
            server.app.reload(server.manager)
            await until(lambda: renewals(server, "failed") == 1)
        standing = json.loads((tmp_path / "acme/standing.json").read_text())
        assert standing["failures"] == 2
        # A mended name need not wait for anybody.
        async with open_server(write(tmp_path, pebble, port)) as server:
            await until(lambda: renewals(server, "obtained"))
            assert (await greet(server, pebble, HOST)).startswith(b"HTTP/1.1 200")


async def test_a_challenge_that_nobody_can_reach_says_so(tmp_path: Path, said: Any) -> None:
    port = free_port()
    with Pebble(tmp_path, free_port()) as pebble:
        async with open_server(write(tmp_path, pebble, port)) as server:
            await until(lambda: renewals(server, "failed"), 40)
            [fields] = [fields for event, fields in said if event == "certificate_renewal_failed"]
            assert HOST in fields["reason"] and "refused" in fields["reason"]


async def test_an_authority_that_is_away_leaves_a_working_certificate(tmp_path: Path) -> None:
    port = free_port()
    with Pebble(tmp_path, port) as pebble:
        path = write(tmp_path, pebble, port)
        async with open_server(path) as server:
            await until(lambda: renewals(server, "obtained"))
            serial = (await leaf(server)).serial_number
        path = write(tmp_path, pebble, port, domains=[HOST, "more.test"])
    async with open_server(path) as server:
        await until(lambda: renewals(server, "failed"))
        assert (await leaf(server)).serial_number == serial
        assert server.app.health.status == "warn"
        assert "cannot be reached" in server.app.health.doubts()["certificate"]


async def test_no_trust_in_the_authority_is_a_failure_with_a_name(tmp_path: Path) -> None:
    port = free_port()
    with Pebble(tmp_path, port) as pebble:
        async with open_server(write(tmp_path, pebble, port, ca_path="")) as server:
            await until(lambda: renewals(server, "failed"))
            assert "certificate verify failed" in server.app.health.problems()["certificate"]


async def test_an_authority_that_knows_its_customers(tmp_path: Path) -> None:
    port, secret = free_port(), "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
    authority = Pebble(tmp_path, port)
    authority.binding_keys = {"customer-7": secret}
    (tmp_path / "eab").write_text(secret + "\n")
    with authority as pebble:
        async with open_server(write(tmp_path, pebble, port)) as server:
            await until(lambda: renewals(server, "failed"))
            assert "acme.eab_key_id" in server.app.health.problems()["certificate"]
        known = {"eab_key_id": "customer-7", "eab_key_path": str(tmp_path / "eab")}
        async with open_server(write(tmp_path, pebble, port, **known)) as server:
            server.app.reload(server.manager)
            await until(lambda: renewals(server, "obtained"))
            assert (await greet(server, pebble, HOST)).startswith(b"HTTP/1.1 200")
