from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop

from meshbox.serve.stun import RATE, StunServer
from meshbox.wire import stun

Run = Callable[[Callable[[], Coroutine[Any, Any, None]]], None]
TRANSACTION = bytes(range(12))


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    def runner(scenario: Callable[[], Awaitable[None]]) -> None:
        factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as loop:
            loop.run(asyncio.wait_for(scenario(), 10))

    return runner


def bound(family: int, host: str, only_v6: bool = True) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
    sock.bind((host, 0))
    return sock


class Asker(asyncio.DatagramProtocol):
    """Remembers the datagrams that came, and from where."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.got.put_nowait((data, addr))


async def asker(host: str, port: int) -> tuple[asyncio.DatagramTransport, Asker]:
    """Not connected, so that an answer from elsewhere is seen too."""
    loop = asyncio.get_running_loop()
    local = ("::" if ":" in host else "0.0.0.0", 0)
    transport, protocol = await loop.create_datagram_endpoint(Asker, local_addr=local)
    transport.sendto(stun.build_request(TRANSACTION), (host, port))
    return transport, protocol


@pytest.mark.parametrize(
    ("family", "bind", "ask"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1"),
        (socket.AF_INET, "0.0.0.0", "127.0.0.3"),
        (socket.AF_INET6, "::1", "::1"),
        (socket.AF_INET6, "::", "::1"),
        (socket.AF_INET6, "::", "127.0.0.3"),
    ],
)
def test_the_address_that_was_asked_answers_with_the_askers(
    run: Run, family: int, bind: str, ask: str
) -> None:
    async def scenario() -> None:
        sock = bound(family, bind, only_v6=":" in ask)
        server = StunServer([sock])
        transport, protocol = await asker(ask, sock.getsockname()[1])
        answer, source = await asyncio.wait_for(protocol.got.get(), 2)
        asked_from = transport.get_extra_info("sockname")[1]
        told = stun.parse_response(answer)
        assert told is not None
        transaction, host, port = told
        assert (transaction, port) == (TRANSACTION, asked_from)
        assert host == ("::1" if ":" in ask else "127.0.0.1") or host == ask
        assert source[:2] == (ask, sock.getsockname()[1])
        assert server.counters.success == 1
        assert (server.counters.ipv4, server.counters.ipv6) == ((0, 1) if ":" in ask else (1, 0))
        transport.close()
        server.close()

    run(scenario)


def test_what_is_no_request_gets_silence_and_the_next_one_an_answer(run: Run) -> None:
    async def scenario() -> None:
        sock = bound(socket.AF_INET, "127.0.0.1")
        server = StunServer([sock])
        transport, protocol = await asker("127.0.0.1", sock.getsockname()[1])
        await protocol.got.get()
        request = stun.build_request(TRANSACTION)
        rubbish = [b"", b"x", bytes(1400), request[:-1], b"\x01" + request[1:]] * 10
        plain = transport.get_extra_info("socket")
        with plain.dup() as sender:  # asyncio itself sends no empty datagrams
            for datagram in [*rubbish, request]:
                sender.sendto(datagram, sock.getsockname())
        answer, _ = await asyncio.wait_for(protocol.got.get(), 2)
        assert answer[:2] == stun.BINDING_SUCCESS
        assert protocol.got.empty()
        assert server.counters.not_stun == len(rubbish)
        transport.close()
        server.close()

    run(scenario)


def test_a_source_that_asks_too_often_gets_silence(run: Run) -> None:
    async def scenario() -> None:
        sock = bound(socket.AF_INET, "0.0.0.0")
        server = StunServer([sock])
        port = sock.getsockname()[1]
        transport, _ = await asker("127.0.0.1", port)
        for _ in range(4 * RATE - 1):
            transport.sendto(stun.build_request(TRANSACTION), ("127.0.0.1", port))
        await asyncio.sleep(0.1)
        # A new second may have begun in between.
        assert RATE <= server.counters.success <= 2 * RATE
        assert server.counters.success + server.counters.rate_limited == 4 * RATE
        transport.close()
        server.close()

    run(scenario)


def test_closing_gives_the_port_back(run: Run) -> None:
    async def scenario() -> None:
        sock = bound(socket.AF_INET, "127.0.0.1")
        address = sock.getsockname()
        server = StunServer([sock])
        server.close()
        server.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(address)

    run(scenario)
