from __future__ import annotations

import asyncio
import os
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest

from meshbox.serve import tls
from meshbox.serve.handover import HandOver, TakeOver
from tests.fake.derp import DerpClient, Way
from tests.serve.derpdaemon import RelayHome
from tests.serve.tlsends import Inner, certificate, client_context, server_context, until

RELAY = "derp.example.com"


async def ask(port: int, name: str | None, text: bytes = b"hello") -> tuple[bytes, bytes]:
    """(the certificate that was shown, the echo)."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=client_context(), server_hostname=name or "127.0.0.1"
    )
    shown = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.write(text)
    echo = await reader.readexactly(len(text))
    writer.transport.abort()
    return shown, echo


def echoing(context: Any) -> Any:
    return tls.wrap(lambda: Inner(lambda inner, data: inner.transport.write(data)), lambda: context)


def der(name: str) -> bytes:
    found: bytes = ssl.PEM_cert_to_DER_cert(certificate(name)._cert_path.read_text())
    return found


class Both:
    """A control server with a TLS port, and a relay that has none."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="meshbox-test-")) / "handover.sock"

    async def __aenter__(self) -> Both:
        loop = asyncio.get_running_loop()
        self.giving = HandOver(RELAY, self.path)
        server = await loop.create_server(
            self.giving.wrap(echoing(server_context("control"))), "127.0.0.1", 0
        )
        self.server = server
        self.port = server.sockets[0].getsockname()[1]
        self.start_relay()
        return self

    def start_relay(self) -> None:
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener.bind(str(self.path))
        self.taking = TakeOver(listener, echoing(server_context("relay")))

    async def __aexit__(self, *_: object) -> None:
        self.taking.close()
        self.giving.close()
        self.server.close()


async def test_who_asks_for_the_relay_gets_it_and_everybody_else_gets_control() -> None:
    async with Both() as both:
        assert await ask(both.port, RELAY) == (der("relay"), b"hello")
        assert await ask(both.port, "control.example.com") == (der("control"), b"hello")
        assert await ask(both.port, None) == (der("control"), b"hello")
        assert (both.giving.given, both.taking.taken) == (1, 1)


async def test_many_at_once_and_much_data() -> None:
    text = os.urandom(200_000)
    async with Both() as both:
        answers = await asyncio.gather(
            *(ask(both.port, RELAY if number % 2 else None, text) for number in range(20))
        )
        assert [shown for shown, _ in answers] == [der("control"), der("relay")] * 10
        assert all(echo == text for _, echo in answers)


async def test_a_hello_that_trickles_in() -> None:
    async with Both() as both:
        out, incoming = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = client_context().wrap_bio(incoming, out, server_hostname=RELAY)
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        for byte in out.read():
            writer.write(bytes([byte]))
            await asyncio.sleep(0)
        await until(lambda: both.taking.taken == 1)
        assert (await reader.readexactly(1)) == b"\x16"
        writer.close()


async def test_a_connection_survives_the_end_of_control() -> None:
    async with Both() as both:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", both.port, ssl=client_context(), server_hostname=RELAY
        )
        both.giving.close()
        both.server.close()
        writer.write(b"still there?")
        assert await reader.readexactly(12) == b"still there?"
        writer.transport.abort()


async def test_a_relay_that_comes_back_is_found_again() -> None:
    async with Both() as both:
        await ask(both.port, RELAY)
        both.taking.close()
        with pytest.raises((ConnectionError, ssl.SSLError, EOFError)):
            await ask(both.port, RELAY)
        both.start_relay()
        assert (await ask(both.port, RELAY))[0] == der("relay")
        assert (await ask(both.port, None))[0] == der("control")


async def test_a_whole_relay_behind_the_port_of_another(tmp_path: Path) -> None:
    path = tmp_path / "handover.sock"
    async with RelayHome(tmp_path, admission__mode="all", handover_socket=str(path)) as relay:
        loop = asyncio.get_running_loop()
        giving = HandOver("127.0.0.1.example", path)
        factory = giving.wrap(echoing(server_context("control")))
        server = await loop.create_server(factory, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        context = client_context()
        original = context.wrap_bio

        def asking(*args: Any, **more: Any) -> ssl.SSLObject:
            return original(*args, **{**more, "server_hostname": "127.0.0.1.example"})

        context.wrap_bio = asking  # type: ignore[method-assign]
        ann = await DerpClient.connect(Way(port, tls=context))
        bob = await relay.client()
        ann.send(bob.public, b"by the other door")
        assert await bob.packet() == (ann.public, b"by the other door")
        ann.close()
        server.close()
        giving.close()
