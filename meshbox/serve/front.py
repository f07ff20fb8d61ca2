"""The one public listener: reads the request head, then hands the connection to whom it concerns.

`/ts2021` and `/derp` become protocols of ours, with the bytes that came behind the head. aiohttp
cannot host them: its parser knows no such upgrade and loses or rejects those bytes. Everything
else is aiohttp's, head and all, including later requests on the same connection; Front stays in
between and passes on what arrives, so that the guard hears of the connection until its end.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast

from meshbox.errors import PeerError
from meshbox.serve.guard import Guard, Seat, peer_of
from meshbox.serve.halfclose import half_close
from meshbox.serve.head import RequestHead, client_address, parse_head, short_answer

Upgrade = Callable[[asyncio.Transport, RequestHead, bytes], None]

LINGER = 2.0
"""Seconds we go on reading after a refusal. Closing with unread bytes makes the kernel send a reset,
which can overtake the answer that says why."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where connections go. `fallback` makes an aiohttp protocol; None answers 404."""

    upgrades: Mapping[str, Upgrade]
    fallback: Callable[[], asyncio.Protocol] | None
    guard: Guard
    clock: Callable[[], float]


class Front(asyncio.Protocol):
    """One connection until its first request head is known."""

    __slots__ = ("_buffer", "_doors", "_inner", "_refusing", "_seat", "_transport")

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._buffer = bytearray()
        self._inner: asyncio.Protocol | None = None
        self._refusing = False
        self._seat: Seat | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._seat = self._doors.guard.admit(self._transport, peer_of(transport), self._doors.clock())
        if self._seat is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._seat is None or self._refusing:
            return
        self._seat.heard_at = self._doors.clock()
        if self._inner is not None:
            self._inner.data_received(data)
            return
        self._buffer += data
        try:
            head = parse_head(self._buffer)
        except PeerError as refusal:
            self._refuse(refusal.status, str(refusal))
            return
        if head is not None:
            self._dispatch(head)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._inner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        self._doors.guard.release(self._transport)
        if self._inner is not None:
            self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._inner is not None:
            self._inner.resume_writing()

    def _dispatch(self, head: RequestHead) -> None:
        doors, seat = self._doors, cast(Seat, self._seat)
        peer = client_address(head.headers, peer_of(self._transport), doors.guard.trusted)
        if not doors.guard.move(seat, peer, doors.clock()):
            self._transport.abort()
            return
        head = RequestHead(head.method, head.target, head.headers, head.raw, peer)
        upgrade = doors.upgrades.get(head.path)
        if upgrade is not None:
            leftover, self._buffer = bytes(self._buffer[len(head.raw) :]), bytearray()
            upgrade(self._transport, head, leftover)
        elif doors.fallback is not None:
            self._hand_over(doors.fallback())
        else:
            self._refuse(404, "not found")

    def _hand_over(self, inner: asyncio.Protocol) -> None:
        # The head is in; from here aiohttp's keep-alive and the handlers' own deadlines watch the clock.
        self._doors.guard.allow(self._transport, math.inf, "", self._doors.clock())
        received, self._buffer = bytes(self._buffer), bytearray()
        self._inner = inner
        inner.connection_made(self._transport)
        inner.data_received(received)

    def _refuse(self, status: int, text: str) -> None:
        self._refusing = True
        self._buffer = bytearray()
        self._transport.write(short_answer(status, text))
        if self._transport.can_write_eof():
            self._doors.guard.allow(self._transport, LINGER, "refused_head", self._doors.clock())
            half_close(self._transport)
        else:
            self._transport.close()
