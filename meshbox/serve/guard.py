"""Who may hold a connection before proving anything.

A connection is counted from accept until an authorised request moves it out of the count. Counted
ones have deadlines and caps: anybody can open sockets, send half a line and wait, and each costs us
memory and a file descriptor. A whole site behind one NAT shares one address and reconnects at
once, so an address over its soft cap loses only connections that have been silent for a moment,
the oldest first; the hard caps are for floods.

Nothing here owns a timer: `sweep(now)` is called every second. Times are of the monotonic clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from meshbox.serve.head import Network

HEAD_DEADLINE = 10.0
"""Seconds for the TLS handshake and a complete request head (silence, half lines, one header per 2 s)
unless configured."""

IDLE_GRACE = 6.0
"""Seconds without a byte from the client after which a connection over the soft cap may be closed.
An honest client sends its next bytes within a round trip."""

ADDRESS_SOFT_CAP = 64
ADDRESS_HARD_CAP = 512
"""Per IPv4 address or IPv6 /64: five thousand idle sockets from one place end as 64; a site of a few
hundred nodes that reconnect together fits below the hard cap."""

TOTAL_CAP = 2_000
"""All unauthenticated connections together; below the file descriptor limit with room for the rest."""


HELD_LIMIT = 64 << 20
"""Bytes of strangers' requests, whole or not, that nobody has looked at yet. Each connection may send
several megabytes, and two thousand of them may be open; above this the one that holds most is closed."""


class Closable(Protocol):
    def abort(self) -> None: ...
    def is_closing(self) -> bool: ...


@dataclass(slots=True, eq=False)
class Seat:
    """One counted connection. Its protocol sets `heard_at` whenever bytes arrive; `held` is what `hold` was
    told last."""

    transport: Closable
    place: str
    heard_at: float
    deadline: float
    why: str = "head_timeout"
    held: int = 0


@dataclass(frozen=True, slots=True)
class Caps:
    per_address: int = ADDRESS_SOFT_CAP
    per_address_hard: int = ADDRESS_HARD_CAP
    total: int = TOTAL_CAP
    head_deadline: float = HEAD_DEADLINE


class Guard:
    """`refused(why, address)` is told of every connection refused or closed here."""

    def __init__(
        self,
        refused: Callable[[str, str], None],
        caps: Caps | None = None,
        trusted: Iterable[Network] = (),
    ) -> None:
        self.caps = caps or Caps()
        self.trusted = tuple(trusted)
        self._refused = refused
        self._seats: dict[Closable, Seat] = {}
        self._places: dict[str, dict[Seat, None]] = {}
        self._held = 0

    def __len__(self) -> int:
        return len(self._seats)

    def admit(self, transport: Closable, address: str, now: float) -> Seat | None:
        """Count a new connection; None if it must be closed at once."""
        place = self._place(address)
        if place and len(self._places.get(place, ())) >= self.caps.per_address_hard:
            self._refused("address_cap", address)
            return None
        if len(self._seats) >= self.caps.total and not self._evict_oldest(now):
            self._refused("total_cap", address)
            return None
        seat = Seat(transport, place, now, now + self.caps.head_deadline)
        self._seats[transport] = seat
        self._enter(seat)
        self._thin(place, now)
        return seat

    def move(self, seat: Seat, address: str, now: float) -> bool:
        """The client behind a trusted proxy is known now: count it under its own address."""
        place = self._place(address)
        if place == seat.place or seat.transport not in self._seats:
            return True
        self._leave(seat)
        seat.place = place
        self._enter(seat)
        if len(self._places.get(place, ())) > self.caps.per_address_hard:
            self._refused("address_cap", address)
            self.release(seat.transport)
            return False
        self._thin(place, now)
        return True

    def allow(self, transport: Closable, seconds: float, why: str, now: float) -> None:
        """Give a connection that is still counted a new deadline."""
        seat = self._seats.get(transport)
        if seat is not None:
            seat.deadline, seat.why = now + seconds, why

    def release(self, transport: Closable) -> None:
        """The connection proved itself, or is gone. Releasing again does nothing."""
        seat = self._seats.pop(transport, None)
        if seat is not None:
            self._held -= seat.held
            self._leave(seat)

    def hold(self, seat: Seat, size: int) -> None:
        """This connection makes us keep so many bytes now."""
        if size == seat.held or seat.transport not in self._seats:
            return
        self._held += size - seat.held
        seat.held = size
        if self._held > HELD_LIMIT:
            self._close(max(self._seats.values(), key=lambda other: other.held), "bodies")

    def seat(self, transport: Closable) -> Seat | None:
        """The connection's seat while it is counted."""
        return self._seats.get(transport)

    def sweep(self, now: float) -> None:
        """Close what is overdue and what is over a soft cap; forget what closed by itself."""
        for seat in list(self._seats.values()):
            if seat.transport.is_closing():
                self.release(seat.transport)
            elif now >= seat.deadline:
                self._close(seat, seat.why)
        for place in list(self._places):
            self._thin(place, now)

    def _thin(self, place: str, now: float) -> None:
        seats = self._places.get(place, {})
        surplus = len(seats) - self.caps.per_address
        if not place or surplus <= 0:
            return
        idle = [seat for seat in seats if now - seat.heard_at > IDLE_GRACE]
        for seat in idle[:surplus]:
            self._close(seat, "address_idle")

    def _evict_oldest(self, now: float) -> bool:
        for seat in self._seats.values():
            if now - seat.heard_at > IDLE_GRACE:
                self._close(seat, "total_idle")
                return True
        return False

    def _close(self, seat: Seat, why: str) -> None:
        self._refused(why, seat.place)
        self.release(seat.transport)
        seat.transport.abort()

    def _enter(self, seat: Seat) -> None:
        self._places.setdefault(seat.place, {})[seat] = None

    def _leave(self, seat: Seat) -> None:
        seats = self._places[seat.place]
        del seats[seat]
        if not seats:
            del self._places[seat.place]

    def _place(self, address: str) -> str:
        """What is counted together: an IPv4 address, an IPv6 /64; nothing ("") for a trusted proxy,
        whose clients are told apart once their request head has been read."""
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return address
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        if any(parsed in network for network in self.trusted):
            return ""
        if isinstance(parsed, IPv6Address):
            return str(ip_network((int(parsed) >> 64 << 64, 64)))
        return str(parsed)


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address of the other end of the socket; "" when it is gone or has none (a unix socket)."""
    peername = transport.get_extra_info("peername")
    return str(peername[0]) if isinstance(peername, tuple) and peername else ""
