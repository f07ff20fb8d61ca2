"""How a caller proves to be an administrator: by opening the unix socket, or with an API key.

On the socket the file mode is the lock, and the kernel says who opened it. On the public listener
an address that showed ten wrong keys within a minute is not listened to until the minute is over,
whatever it brings: a right answer among guesses would tell the guesser.
"""

from __future__ import annotations

import pwd
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Protocol

from aiohttp import web

from meshbox import log
from meshbox.errors import Busy, StoreError, Unauthenticated
from meshbox.serve.api.call import Context
from meshbox.serve.attempts import Attempts
from meshbox.tailnet import apikeys

GUESSES = 10
"""Wrong API keys one address may show per minute. A key has 256 random bits; this is for the log and
the CPU."""

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
        self._guesses = Attempts()

    def actor(self, request: web.Request, context: Context, now: float) -> str:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        return self.bearer(request, context, text if scheme.lower() == "bearer" or not text else "?", now)

    def bearer(self, request: web.Request, context: Context, text: str, now: float) -> str:
        """Who is calling with this API key, wherever in the request it came. Raises as `actor`."""
        address = self._address_of(request)
        wait = self._guesses.wait(_place(address), GUESSES, now)
        if wait:
            raise Busy("too many wrong API keys from this address; try again later", wait)
        if not text:
            raise Unauthenticated(
                "Unauthorized: send an API key as a bearer token; `meshbox apikeys create` makes one"
            )
        key = apikeys.check(context.tailnet, text.strip(), now)
        if key is None:
            self._guesses.note(_place(address), now)
            log.emit_limited("api_key_refused", address, peer_ip=address)
            raise Unauthenticated("Unauthorized: this API key is unknown, expired or revoked")
        # A full disk must not lock administrators out: what they came for may still be readable.
        with suppress(StoreError):
            apikeys.note_use(context.tailnet, key, now)
        return f"api:{key.prefix}"


def _place(address: str) -> str:
    """Counted together: an IPv4 address, an IPv6 /64 (one customer has that many)."""
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
