"""The STUN server: tells clients their public address, on UDP sockets of its own.

The answer leaves from the address that was asked (IP_PKTINFO): on a machine with several, the
kernel's choice may be another, and the client's NAT would drop it. A socket may serve IPv4, IPv6
or both.

Silence for everything that is no client's request, and for a source that asks too often: a client asks
a few times in 20 seconds, so RATE leaves room for a whole site behind one address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from meshbox.wire.stun import MAX_REQUEST, build_response, parse_request

RATE = 50
"""Answers per second and source (an IPv4 address, an IPv6 /64). Forged sources make us the reflector."""

SOURCES = 4096
"""Sources counted within one second. A flood from more of them is answered in the order of its arrival
without being counted, which costs each forged victim no more than it was sent."""

TURN = 64
"""Datagrams taken from a socket before the event loop has other things to do."""

_IP_PKTINFO = 8
_ANCILLARY_BYTES = socket.CMSG_SPACE(20)
_LEVELS = (
    (socket.IPPROTO_IP, _IP_PKTINFO),
    (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
)


@dataclass(slots=True)
class StunCounters:
    """Names of the official server's `stun_requests{disposition}` and `stun_addrfamily{family}`."""

    success: int = 0
    not_stun: int = 0
    rate_limited: int = 0
    read_error: int = 0
    write_error: int = 0
    ipv4: int = 0
    ipv6: int = 0


class StunServer:
    """Serves bound UDP sockets, which it owns from here on, until `close`."""

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self.counters = StunCounters()
        self._sockets = tuple(sockets)
        self._asked: dict[bytes, int] = {}
        self._second = 0
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
                datagram, ancillary, _, source = sock.recvmsg(MAX_REQUEST + 1, _ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:
                self.counters.read_error += 1
                return
            transaction = parse_request(datagram)
            if transaction is None:
                self.counters.not_stun += 1
            elif not self._may_ask(source[0]):
                self.counters.rate_limited += 1
            else:
                self._answer(sock, build_response(transaction, source[0], source[1]), ancillary, source)

    def _answer(
        self, sock: socket.socket, answer: bytes, ancillary: list[tuple[int, int, bytes]], to: tuple[str, int]
    ) -> None:
        try:
            sock.sendmsg([answer], _reply_info(ancillary), 0, to)
        except OSError:
            self.counters.write_error += 1
            return
        self.counters.success += 1
        if len(answer) == 32:
            self.counters.ipv4 += 1
        else:
            self.counters.ipv6 += 1

    def _may_ask(self, host: str) -> bool:
        second = int(self._loop.time())
        if second != self._second:
            self._second = second
            self._asked.clear()
        place = _place(host)
        count = self._asked.get(place, 0)
        if count >= RATE:
            return False
        if count or len(self._asked) < SOURCES:
            self._asked[place] = count + 1
        return True


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
