"""The STUN server: tells clients their public address, on UDP sockets of its own.

Silence for everything that is no client's request, and for a source that asks too often: a client asks
a few times in 20 seconds, so RATE leaves room for a whole site behind one address.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from meshbox.serve.datagrams import Askers, Datagrams, Source
from meshbox.wire.stun import MAX_REQUEST, build_response, parse_request

RATE = 50
"""Answers per second and source (an IPv4 address, an IPv6 /64)."""


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

    largest = MAX_REQUEST

    def __init__(self, sockets: Iterable[socket.socket]) -> None:
        self.counters = StunCounters()
        self._askers = Askers(RATE, asyncio.get_running_loop().time)
        self._datagrams = Datagrams(sockets, self)

    def close(self) -> None:
        self._datagrams.close()

    def answer(self, datagram: bytes, source: Source) -> bytes:
        transaction = parse_request(datagram)
        if transaction is None:
            self.counters.not_stun += 1
            return b""
        if not self._askers.may_ask(source[0]):
            self.counters.rate_limited += 1
            return b""
        return build_response(transaction, source[0], source[1])

    def sent(self, answer: bytes) -> None:
        self.counters.success += 1
        if len(answer) == 32:
            self.counters.ipv4 += 1
        else:
            self.counters.ipv6 += 1

    def failed(self, what: str) -> None:
        if what == "read":
            self.counters.read_error += 1
        else:
            self.counters.write_error += 1
