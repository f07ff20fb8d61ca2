"""What can be done to a listener before any protocol begins (hostile cases 1 to 6)."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from meshbox.serve.selfsigned import CERT_NAME, KEY_NAME, self_signed
from tests.fake.client import Tunnel, upgrade_request
from tests.fake.noise import Initiator
from tests.fake.server import FakeServer, serving, write_config
from tests.hostile.stand import standing, watched

PAUSE = 0.05


async def dial(server: FakeServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*server.door[:2])


async def lasted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, trickle: bytes = b"") -> float:
    """Seconds until the server ends the connection, while `trickle` is sent byte by byte."""
    began = time.monotonic()

    async def send() -> None:
        for byte in trickle:
            writer.write(bytes([byte]))
            await asyncio.sleep(PAUSE)

    sending = asyncio.create_task(send())
    try:
        await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        pass
    finally:
        sending.cancel()
        writer.close()
    return time.monotonic() - began


SLOW_HEADS = {
    "silence": b"",
    "half a request line": b"GET /ke",
    "one header at a time": b"GET /key HTTP/1.1\r\n" + b"a: b\r\n" * 20,
    "half an upgrade": b"POST /ts2021 HTTP/1.1\r\nUpgrade: tailscale-control-protocol\r\n",
}


@pytest.mark.parametrize("sent", SLOW_HEADS.values(), ids=SLOW_HEADS.keys())
async def test_a_head_that_does_not_come_ends_at_its_deadline(tmp_path: Path, sent: bytes) -> None:
    limits = {"handshake_timeout": "1s"}
    async with serving(write_config(tmp_path, limits=limits)) as server:
        healthy = await server.joined("healthy")
        seconds = await lasted(*await dial(server), trickle=sent)
        assert 0.9 < seconds < 2.5
        assert server.metrics.value("meshbox_refused_total", "head_timeout") == 1
        assert not healthy.tunnel.closed.is_set()


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], ids=["none", "half"])
async def test_half_a_tls_hello_ends_at_its_deadline(tmp_path: Path, sent: bytes) -> None:
    self_signed(tmp_path, ["127.0.0.1"], time.time())
    path = write_config(
        tmp_path,
        server_url="https://127.0.0.1:1",
        tls_cert_path=str(tmp_path / CERT_NAME),
        tls_key_path=str(tmp_path / KEY_NAME),
        limits={"handshake_timeout": "1s"},
    )
    async with serving(path, tls=True) as server:
        reader, writer = await dial(server)
        writer.write(sent)
        assert 0.9 < await lasted(reader, writer) < 2.5
        assert server.metrics.value("meshbox_refused_total", "head_timeout") == 1
        context = ssl.create_default_context(cafile=str(tmp_path / CERT_NAME))
        reader, writer = await asyncio.open_connection(*server.door[:2], ssl=context)
        writer.write(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")
        writer.close()


@pytest.mark.slow
async def test_five_thousand_idle_connections_end_as_sixty_four(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand, watched(stand):
        writers = []
        for _ in range(5000):
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", stand.port)
            except OSError:
                continue
            writers.append(writer)
        deadline = time.monotonic() + 20
        while (left := await count_strangers(stand.metrics)) > 64 and time.monotonic() < deadline:
            began = time.monotonic()
            await stand.ask("status")
            assert time.monotonic() - began < 2.0, "the administrator waits"
            await asyncio.sleep(0.3)
        assert left <= 64
        for writer in writers:
            writer.transport.abort()


async def count_strangers(metrics: Callable[[], object]) -> int:
    text = str(await metrics())  # type: ignore[misc]
    (line,) = [line for line in text.splitlines() if 'kind="unauthenticated"' in line]
    return int(line.split()[1])


class TestBodies:
    """The API answers on the public listener too."""

    @pytest.mark.parametrize(
        "headers",
        [
            b"Content-Length: -5\r\n",
            b"Content-Length: 5\r\nContent-Length: 6\r\n",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: five\r\n",
            b"Transfer-Encoding: chunked, chunked\r\n",
        ],
    )
    async def test_a_length_that_lies_is_refused(self, tmp_path: Path, headers: bytes) -> None:
        async with serving(write_config(tmp_path)) as server:
            reader, writer = await dial(server)
            writer.write(b"POST /verify HTTP/1.1\r\nHost: h\r\n" + headers + b"\r\nhello")
            answer = await asyncio.wait_for(reader.read(), 5)
            assert answer.startswith(b"HTTP/1.1 400 "), answer
            writer.close()

    async def test_a_body_that_is_too_long_is_413(self, tmp_path: Path) -> None:
        async with serving(write_config(tmp_path)) as server:
            for path in (b"/verify", b"/api/v1/user"):
                reader, writer = await dial(server)
                head = b"POST " + path + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n"
                writer.write(head + b"x" * 100_000)
                answer = await asyncio.wait_for(reader.readline(), 5)
                assert answer.split()[1] in (b"413", b"401"), answer
                writer.close()

    async def test_a_byte_now_and_then_is_no_way_to_stay(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("meshbox.serve.web.VERIFY_DEADLINE", 0.5)
        async with serving(write_config(tmp_path)) as server:
            reader, writer = await dial(server)
            writer.write(b"POST /verify HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n")
            sender = asyncio.create_task(lasted(asyncio.StreamReader(), writer, b"x" * 50))
            answer = await asyncio.wait_for(reader.readline(), 3)
            assert answer.split()[1] == b"408"
            sender.cancel()


class TestHeads:
    @pytest.mark.parametrize(
        "head",
        [
            b"GET /key HTTP/1.1\r\nx: " + b"y" * (10 << 20) + b"\r\n\r\n",
            b"GET /key HTTP/1.1\r\n" + b"x: y\r\n" * 10_000 + b"\r\n",
        ],
        ids=["10 MiB", "10,000 headers"],
    )
    async def test_a_head_without_measure_is_431_and_costs_no_memory(
        self, tmp_path: Path, head: bytes
    ) -> None:
        async with standing(tmp_path) as stand:
            before = stand.memory()
            reader, writer = await asyncio.open_connection("127.0.0.1", stand.port)
            writer.write(head)
            answer = await asyncio.wait_for(reader.readline(), 5)
            assert answer.split()[1] == b"431"
            writer.transport.abort()
            assert stand.memory() - before < 2 << 20

    async def test_what_a_stranger_writes_stays_in_one_line_of_the_log(self, tmp_path: Path) -> None:
        async with standing(tmp_path) as stand:
            node = stand.node("one\nlevel=error event=forged msg=\x1b[31m")
            await node.register("mb-auth-\n event=forged")
            await node.register()
            await node.close()
            assert not [
                line for line in stand.log().splitlines() if line.startswith("level=error event=forged")
            ]
            assert "\x1b" not in stand.log()


class TestAddresses:
    async def source_of_pending(self, server: FakeServer, forwarded: str) -> str:
        """The address written down for a device whose upgrade carried X-Forwarded-For."""
        node = server.node("laptop")
        reader, writer = await dial(server)
        initiator = Initiator(node.machine, os.urandom(32), server.door[2], node.version)
        writer.write(upgrade_request(initiator.initiation, more=f"X-Forwarded-For: {forwarded}\r\n"))
        node.tunnel = await Tunnel.over(reader, writer, initiator)
        assert (await node.register()).json["AuthURL"]
        (pending,) = server.tailnet.pending.values()
        return pending.source

    async def test_a_forged_forwarding_header_is_ignored(self, tmp_path: Path) -> None:
        async with serving(write_config(tmp_path)) as server:
            assert await self.source_of_pending(server, "203.0.113.66") == "127.0.0.1"

    async def test_a_trusted_proxy_is_believed_for_its_last_hop_only(self, tmp_path: Path) -> None:
        async with serving(write_config(tmp_path, trusted_proxies=["127.0.0.0/8"])) as server:
            forwarded = "203.0.113.66, 198.51.100.9"
            assert await self.source_of_pending(server, forwarded) == "198.51.100.9"

    async def test_a_foreign_host_header_changes_nothing_we_say(self, tmp_path: Path) -> None:
        async with serving(write_config(tmp_path, server_url="https://ctl.example.org")) as server:
            reader, writer = await dial(server)
            writer.write(b"GET /register/nothing HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
            assert b"evil.example" not in await asyncio.wait_for(reader.read(), 5)
            writer.close()


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.slow
async def test_without_descriptors_nobody_comes_in_and_nothing_burns_and_then_it_recovers(
    tmp_path: Path,
) -> None:
    async with standing(tmp_path, limits={"connections_per_address": 1000}) as stand:
        healthy = await stand.joined("healthy", await stand.auth_key())
        in_use = descriptors(stand.pid)
        resource.prlimit(stand.pid, resource.RLIMIT_NOFILE, (in_use + 10, in_use + 10))
        writers = [(await asyncio.open_connection("127.0.0.1", stand.port))[1] for _ in range(60)]
        before = stand.cpu()
        await asyncio.sleep(4)
        assert stand.cpu() - before < 0.8, "accepting what cannot be accepted, over and over"
        assert not healthy.tunnel.closed.is_set()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(2)
        other = await stand.joined("other", await stand.auth_key())
        await healthy.until(lambda netmap: netmap.peer("other"))
        assert json.loads(await stand.admin("nodes", "list", "-o", "json"))
        for node in (healthy, other):
            await node.close()
