"""The end of our half, said to peers that are there and to peers that have reset the connection."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
import uvloop

from meshbox.serve.halfclose import half_close
from tests.serve.tlsends import until

ABRUPT = struct.pack("ii", 1, 0)
"""SO_LINGER that makes close() a reset."""


class Listener(asyncio.Protocol):
    """Keeps what it hears, and its connection open when the other half ends."""

    def __init__(self) -> None:
        self.heard = bytearray()
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.heard += data

    def eof_received(self) -> bool:
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


Scenario = Callable[[Listener, socket.socket], Awaitable[None]]
Pair = Callable[[Scenario], None]


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def pair(request: pytest.FixtureRequest) -> Pair:
    """Run a scenario with the two ends of a connection: one of the loop, one a plain socket."""

    def run(scenario: Scenario) -> None:
        async def within() -> None:
            near, far = _connected()
            _, protocol = await asyncio.get_running_loop().connect_accepted_socket(Listener, near)
            await asyncio.wait_for(scenario(protocol, far), 10)
            far.close()
            protocol.transport.abort()

        with asyncio.Runner(loop_factory=request.param) as loop:
            loop.run(within())

    return run


def _connected() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near, _ = server.accept()
    near.setblocking(False)
    far.settimeout(5)
    return near, far


def test_a_peer_that_has_reset_the_connection_is_no_error(pair: Pair) -> None:
    async def scenario(protocol: Listener, far: socket.socket) -> None:
        far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABRUPT)
        far.close()  # On loopback the reset is there when this returns; the loop has not read it.
        half_close(protocol.transport)
        await protocol.lost

    pair(scenario)


def test_the_other_half_stays_open(pair: Pair) -> None:
    async def scenario(protocol: Listener, far: socket.socket) -> None:
        protocol.transport.write(b"last word")
        half_close(protocol.transport)
        said = b""
        while piece := await asyncio.to_thread(far.recv, 100):
            said += piece
        assert said == b"last word"
        far.sendall(b"still here")
        await until(lambda: bytes(protocol.heard) == b"still here")

    pair(scenario)
