"""Questions that come as datagrams from anybody: answered from the address that was asked, not too often.

That address (IP_PKTINFO): on a machine with several, the kernel's choice may be another, and the asker or
its NAT would drop the answer. A socket may serve IPv4, IPv6 or both.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Protocol

SOURCES = 4096
"""Sources counted within one second. A flood from more of them is answered in the order of its arrival
without being counted, which costs each forged victim no more than it was sent."""

TURN = 64
"""Datagrams taken from a socket before the event loop has other things to do."""

Source = tuple[str, int]

_IP_PKTINFO = 8
_ANCILLARY_BYTES = socket.CMSG_SPACE(20)
_LEVELS = (
    (socket.IPPROTO_IP, _IP_PKTINFO),
    (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
)


class Answerer(Protocol):
    largest: int
    """Bytes of a datagram that are looked at."""

    def answer(self, datagram: bytes, source: Source) -> bytes:
        """What to send back; b"" for nothing."""

    def sent(self, answer: bytes) -> None:
        """It is on its way."""

    def failed(self, what: str) -> None:
        """The system could not: "read" or "write"."""


class Askers:
    """How often each source asked within this second. Forged sources would make us a reflector."""

    def __init__(self, rate: int, steady: Callable[[], float]) -> None:
        self._rate = rate
        self._steady = steady
        self._asked: dict[bytes, int] = {}
        self._second = 0

    def may_ask(self, host: str) -> bool:
        second = int(self._steady())
        if second != self._second:
            self._second = second
            self._asked.clear()
        place = _place(host)
        count = self._asked.get(place, 0)
        if count >= self._rate:
            return False
        if count or len(self._asked) < SOURCES:
            self._asked[place] = count + 1
        return True


class Datagrams:
    """Serves bound UDP sockets, which it owns from here on, until `close`."""

    def __init__(self, sockets: Iterable[socket.socket], answerer: Answerer) -> None:
        self._sockets = tuple(sockets)
        self._answerer = answerer
        self._loop = asyncio.get_running_loop()
        for sock in self._sockets:
            sock.setblocking(False)
            _want_packet_info(sock)
            self._loop.add_reader(sock.fileno(), self._readable, sock)

    def close(self) -> None:
        for sock in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                sock.close()

    def _readable(self, sock: socket.socket) -> None:
        for _ in range(TURN):
            try:
                datagram, ancillary, _, source = sock.recvmsg(self._answerer.largest + 1, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self._answerer.failed("read")
                return
            answer = self._answerer.answer(datagram, (source[0], source[1]))
            if answer:
                self._send(sock, answer, ancillary, source)

    def _send(
        self, sock: socket.socket, answer: bytes, ancillary: list[tuple[int, int, bytes]], to: Source
    ) -> None:
        try:
            sock.sendmsg([answer], _reply_info(ancillary), 0, to)
        except OSError:
            self._answerer.failed("write")
            return
        self._answerer.sent(answer)


def _place(host: str) -> bytes:
    """What counts as one source."""
    host = host.partition("%")[0]
    if ":" not in host:
        return host.encode()
    packed = socket.inet_pton(socket.AF_INET6, host)
    # ::ffff:a.b.c.d is IPv4 on a socket for both families.
    return packed if packed.startswith(bytes(10) + b"\xff\xff") else packed[:8]


def _want_packet_info(sock: socket.socket) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _reply_info(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """The packet info of the request, good for the answer: same local address, any interface.

    struct in_pktinfo is interface, local address, header destination; in6_pktinfo address, interface.
    A link-local address means nothing without its interface, which stays in that case.
    """
    answers = []
    for level, kind, data in ancillary:
        if (level, kind) not in _LEVELS:
            continue
        if level == socket.IPPROTO_IP:
            data = bytes(4) + data[4:8] + bytes(4)
        elif data[0] != 0xFE:
            data = data[:16] + bytes(4)
        answers.append((level, kind, data))
    return answers
