"""Sockets: bound with our options, inherited from the service manager, or refused with a sentence."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from meshbox.config import Address
from meshbox.errors import ListenError
from meshbox.serve import listeners
from meshbox.serve.listeners import Inherited, listen_tcp, listen_udp, listen_unix, serve_on, stop_serving

NOBODY = Inherited({})


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def test_accepted_connections_have_our_options() -> None:
    with listen_tcp(Address("127.0.0.1:0"), "listen_addr", NOBODY) as sock:
        sock.listen()
        with socket.create_connection(sock.getsockname()), sock.accept()[0] as accepted:
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 45
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000


def test_a_taken_port_is_named_with_the_way_out(taken: socket.socket) -> None:
    address = Address(f"127.0.0.1:{taken.getsockname()[1]}")
    with pytest.raises(ListenError, match=rf"{address} \(listen_addr\): the port is taken"):
        listen_tcp(address, "listen_addr", NOBODY)


@pytest.mark.parametrize(
    ("address", "reason"),
    [("192.0.2.1:0", "no such address"), ("no.such.host.invalid:80", "is no address of this machine")],
)
def test_an_address_that_is_not_ours_is_named(address: str, reason: str) -> None:
    with pytest.raises(ListenError, match=reason):
        listen_udp(Address(address), "derp.server.stun_listen_addr", NOBODY)


def test_an_empty_host_means_every_address() -> None:
    with listen_tcp(Address(":0"), "listen_addr", NOBODY) as sock:
        sock.listen()
        socket.create_connection(("127.0.0.1", sock.getsockname()[1])).close()


class TestUnix:
    def test_the_mode_is_set_before_anybody_can_connect(self, tmp_path: Path) -> None:
        path = tmp_path / "made" / "api.sock"
        with listen_unix(path, 0o660, NOBODY):
            assert stat.S_IMODE(path.stat().st_mode) == 0o660

    def test_what_a_dead_server_left_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "api.sock"
        listen_unix(path, 0o600, NOBODY).close()
        assert path.exists()
        with listen_unix(path, 0o600, NOBODY) as sock:
            sock.listen()

    def test_a_live_server_is_not_robbed(self, tmp_path: Path) -> None:
        path = tmp_path / "api.sock"
        with listen_unix(path, 0o600, NOBODY) as first:
            first.listen()
            with pytest.raises(ListenError, match="another meshbox answers"):
                listen_unix(path, 0o600, NOBODY)
            socket.socket(socket.AF_UNIX).connect(str(path))

    def test_another_kind_of_file_is_not_removed(self, tmp_path: Path) -> None:
        path = tmp_path / "api.sock"
        path.write_text("precious")
        with pytest.raises(ListenError, match="is no socket"):
            listen_unix(path, 0o600, NOBODY)
        assert path.read_text() == "precious"

    def test_a_path_that_is_too_long_is_refused_in_words(self, tmp_path: Path) -> None:
        with pytest.raises(ListenError, match="cannot listen on unix_socket"):
            listen_unix(tmp_path / ("x" * 120), 0o600, NOBODY)


class TestInherited:
    def inherit(self, monkeypatch: pytest.MonkeyPatch, sock: socket.socket) -> Inherited:
        monkeypatch.setattr(listeners, "FIRST_INHERITED", os.dup(sock.fileno()))
        return Inherited({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})

    def test_a_socket_of_the_service_manager_is_used(
        self, monkeypatch: pytest.MonkeyPatch, taken: socket.socket
    ) -> None:
        address = Address(f"127.0.0.1:{taken.getsockname()[1]}")
        with listen_tcp(address, "listen_addr", self.inherit(monkeypatch, taken)) as sock:
            assert sock.getsockname() == taken.getsockname()

    def test_one_for_another_address_is_not(
        self, monkeypatch: pytest.MonkeyPatch, taken: socket.socket
    ) -> None:
        inherited = self.inherit(monkeypatch, taken)
        with listen_tcp(Address("127.0.0.1:0"), "listen_addr", inherited) as sock:
            assert sock.getsockname() != taken.getsockname()

    def test_what_is_meant_for_another_process_is_left_alone(self) -> None:
        assert Inherited({"LISTEN_PID": "1", "LISTEN_FDS": "3"}).take(socket.SOCK_STREAM, ("", 1)) is None


async def test_whoever_was_accepted_before_the_stop_is_served() -> None:
    class Answering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            cast(asyncio.Transport, transport).write(b"served")

    listener = socket.create_server(("127.0.0.1", 0))
    server = await serve_on(listener, Answering)
    client = socket.create_connection(listener.getsockname())
    # Two turns: the loop accepts in the second, after us; the connection's own task would be next.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await stop_serving([server])
    client.settimeout(5)
    assert await asyncio.to_thread(client.recv, 10) == b"served"
    client.close()


async def test_after_the_stop_nobody_is_accepted() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    heir, address = listener.dup(), listener.getsockname()
    await stop_serving([await serve_on(listener, asyncio.Protocol)])
    client = socket.create_connection(address)
    await asyncio.sleep(0.05)
    accepted, _ = heir.accept()
    assert accepted.getpeername() == client.getsockname(), "it waits for whoever inherits the socket"
    for one in (accepted, client, heir):
        one.close()
