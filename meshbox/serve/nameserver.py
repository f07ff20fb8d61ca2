"""The name server of the tailnet's public zone: certificate authorities ask it for proofs, by UDP and TCP.

Anybody may ask. An answer is not much longer than its question, a source that asks more than RATE times in a
second is not answered over UDP, and a connection gets a few questions and seconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import cast

from meshbox.config import Address
from meshbox.errors import ListenError
from meshbox.serve.datagrams import Askers, Datagrams, Source
from meshbox.serve.listeners import Inherited, listen_tcp, listen_udp, serve_on, stop_serving
from meshbox.wire.dnsmessage import CODE, LARGEST, NOERROR, read_question
from meshbox.wire.zone import Zone

RATE = 50
"""Answers per second and source over UDP. Authorities ask from a few places, a few times."""

CONNECTIONS = 64
CONNECTION_LIFE = 10.0
QUESTIONS_PER_CONNECTION = 16
"""Over TCP, which resolvers use when UDP fails: at once, in seconds, and on one connection."""

UNIT = "meshbox-dns.socket"

Count = Callable[[str], None]
Look = Callable[[str], Iterable[str]]


class NameServer:
    """`zone` may be replaced; `proofs(name)` are the values for the challenge of a name; `count(outcome)` is
    told of each message."""

    largest = LARGEST

    def __init__(self, zone: Zone, proofs: Look, count: Count) -> None:
        self.zone = zone
        self._proofs = proofs
        self._count = count
        self._askers = Askers(RATE, asyncio.get_running_loop().time)
        self.connections: set[Connection] = set()
        self._datagrams: Datagrams | None = None
        self._servers: list[asyncio.Server] = []

    async def open(self, sockets: Iterable[socket.socket]) -> None:
        """They are this server's from here on; both kinds should be among them."""
        opened = list(sockets)
        self._datagrams = Datagrams((one for one in opened if one.type == socket.SOCK_DGRAM), self)
        listeners = (one for one in opened if one.type == socket.SOCK_STREAM)
        self._servers = [await serve_on(listener, lambda: Connection(self)) for listener in listeners]

    async def close(self) -> None:
        if self._datagrams is not None:
            self._datagrams.close()
        await stop_serving(self._servers)
        for connection in list(self.connections):
            connection.close()

    def answer(self, datagram: bytes, source: Source) -> bytes:
        if not self._askers.may_ask(source[0]):
            self._count("rate_limited")
            return b""
        return self.reply(datagram)

    def reply(self, message: bytes) -> bytes:
        """b"" for what deserves none."""
        question = read_question(message)
        if question is None:
            self._count("ignored")
            return b""
        answer = self.zone.answer(question, self._proofs)
        self._count("answered" if answer[3] & CODE == NOERROR else "refused")
        return answer

    def sent(self, answer: bytes) -> None:
        """Counted as it was made."""

    def failed(self, what: str) -> None:
        self._count(f"{what}_error")


def open_sockets(address: Address, key: str, inherited: Inherited) -> list[socket.socket]:
    """Those of the unit, wherever they listen, or new ones at the address. Raises ListenError."""
    sockets = inherited.take_named(UNIT)
    if sockets:
        return sockets
    try:
        listener = listen_tcp(address, key, inherited)
    except ListenError as error:
        raise ListenError(f"{error}. Under systemd: systemctl enable --now {UNIT}") from None
    # Where the system chose the port, both have the same.
    port = listener.getsockname()[1]
    same = Address(f"{address.rpartition(':')[0]}:{port}")
    return [listener, listen_udp(same, key, inherited)]


class Connection(asyncio.Protocol):
    """Each message has two bytes of length before it (RFC 7766)."""

    def __init__(self, server: NameServer) -> None:
        self._server = server
        self._received = bytearray()
        self._left = QUESTIONS_PER_CONNECTION

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        if len(self._server.connections) >= CONNECTIONS:
            self._transport.abort()
            return
        self._server.connections.add(self)
        self._deadline = asyncio.get_running_loop().call_later(CONNECTION_LIFE, self._transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._server.connections:
            self._server.connections.discard(self)
            self._deadline.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= 2 and not self._transport.is_closing():
            length = int.from_bytes(self._received[:2])
            if length > LARGEST:
                self._transport.abort()
                return
            if len(self._received) < 2 + length:
                return
            self._reply(bytes(self._received[2 : 2 + length]))
            del self._received[: 2 + length]

    def _reply(self, packet: bytes) -> None:
        answer = self._server.reply(packet)
        self._left -= 1
        if answer:
            self._transport.write(len(answer).to_bytes(2) + answer)
        if not answer or self._left <= 0:
            self._transport.close()

    def close(self) -> None:
        self._transport.close()
