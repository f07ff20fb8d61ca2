"""How a caller proves to be an administrator: by opening the unix socket, or with an API key.

On the socket the file mode is the lock, and the kernel says who opened it. On the public listener
an address that showed ten wrong keys within a minute is not listened to until the minute is over,
whatever it brings: a right answer among guesses would tell the guesser.
"""

from __future__ import annotations

import pwd
import socket
import struct
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from aiohttp import web

from meshbox import log
from meshbox.errors import Busy, Unauthenticated
from meshbox.serve.api.call import Context
from meshbox.tailnet import apikeys

GUESSES = 10
GUESS_WINDOW = 60.0
"""Wrong API keys one address may show in how many seconds. A key has 256 random bits; this is for
the log and the CPU."""

GUESSERS = 4096
"""Addresses remembered; the longest silent one is forgotten for a new one. An attacker with more
addresses than this gains guesses, not keys."""

_UCRED = struct.Struct("3i")


class Door(Protocol):
    def actor(self, request: web.Request, context: Context, now: float) -> str:
        """Who is calling, as the audit names them. Raises Unauthenticated, Busy."""


class SocketDoor:
    """The unix socket: whoever could open it may do everything."""

    def actor(self, request: web.Request, context: Context, now: float) -> str:
        transport = request.transport
        peer = None if transport is None else transport.get_extra_info("socket")
        if peer is None or peer.family != socket.AF_UNIX:
            raise Unauthenticated("this door is the unix socket's")
        raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return f"local:{_user_name(_UCRED.unpack(raw)[1])}"


class TokenDoor:
    """The public listener: `Authorization: Bearer mb-api-...`.

    `address_of(request)` gives the caller's address, after the trusted-proxy rule.
    """

    def __init__(self, address_of: Callable[[web.Request], str]) -> None:
        self._address_of = address_of
        self._guesses = Guesses()

    def actor(self, request: web.Request, context: Context, now: float) -> str:
        address = self._address_of(request)
        wait = self._guesses.wait(address, now)
        if wait:
            raise Busy("too many wrong API keys from this address; try again later", wait)
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if not text:
            raise Unauthenticated(
                "Unauthorized: send an API key as a bearer token; `meshbox apikeys create` makes one"
            )
        key = apikeys.check(context.tailnet, text.strip(), now) if scheme.lower() == "bearer" else None
        if key is None:
            self._guesses.note(address, now)
            log.emit_limited("api_key_refused", address, peer_ip=address)
            raise Unauthenticated("Unauthorized: this API key is unknown, expired or revoked")
        return f"api:{key.prefix}"


class Guesses:
    """Wrong keys per address (IPv6: per /64) in the last minute."""

    def __init__(self) -> None:
        self._made: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str, now: float) -> int:
        """Seconds until this address is listened to again; 0 when it is."""
        made = self._made.get(_place(address))
        if made is None or len(made) < GUESSES or made[0] <= now - GUESS_WINDOW:
            return 0
        return int(made[0] + GUESS_WINDOW - now) + 1

    def note(self, address: str, now: float) -> None:
        place = _place(address)
        made = self._made.setdefault(place, deque(maxlen=GUESSES))
        made.append(now)
        self._made.move_to_end(place)
        if len(self._made) > GUESSERS:
            self._made.popitem(last=False)


def _place(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((int(parsed) >> 64 << 64, 64)))


@lru_cache(maxsize=256)
def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
