from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any, cast

from meshbox.relay.client import Client
from meshbox.relay.switch import Switch
from meshbox.serve.derp import DerpServer
from meshbox.serve.derplink import STALL, DerpLink
from meshbox.wire.keys import NodeKey
from tests.serve.tlsends import until


class StuckTransport(asyncio.Transport):
    """Its own buffer never moves; its socket is real."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self.sock = sock

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self.sock if name == "socket" else default

    def get_write_buffer_size(self) -> int:
        return 100_000

    def is_closing(self) -> bool:
        return False


class Clock(DerpServer):
    """A relay whose time stands where it is put."""

    time = 100.0

    def now(self) -> float:
        return self.time


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        near = socket.create_connection(listener.getsockname())
        far, _ = listener.accept()
    near.setblocking(False)
    far.setblocking(False)
    return near, far


def fill(sock: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(1 << 16))


def drain(sock: socket.socket, count: int) -> None:
    with contextlib.suppress(BlockingIOError):
        while count > 0:
            count -= len(sock.recv(count))


async def test_progress_is_what_the_kernel_sends_not_what_our_buffer_loses() -> None:
    near, far = tcp_pair()
    with near, far:
        server = Clock(bytes(range(1, 33)), lambda key: True)
        link = DerpLink(server, cast(asyncio.Transport, StuckTransport(near)), "")
        link.client = Client(NodeKey(bytes(32)), link, Switch(), None, server.time)
        fill(near)
        link.pause_writing()
        assert link in server.blocked
        for _ in range(5):
            before = link._waiting()
            drain(far, 300_000)
            # The acknowledgement takes its time on a busy machine.
            await until(lambda before=before: link._waiting() < before)
            assert not link.is_stalled(server.time + STALL - 0.1)
            server.time += STALL - 0.1
        assert not link.is_stalled(server.time + STALL - 0.1)
        assert link.is_stalled(server.time + STALL + 0.1)
        link.resume_writing()
        assert link not in server.blocked
