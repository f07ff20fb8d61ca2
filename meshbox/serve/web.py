"""The plain HTTP side of the public listener, hosted by aiohttp: `/key`, `/health`, pages, API.

Nothing here is hot: a client asks `/key` once per start. aiohttp waits for ever for a body, so every
handler that reads one brings its own limit and deadline.
"""

from __future__ import annotations

import asyncio
import hashlib

from aiohttp import web

from meshbox import __version__, log
from meshbox.errors import Malformed
from meshbox.serve.core import Core
from meshbox.serve.head import client_address
from meshbox.serve.health import Health
from meshbox.serve.relaymap import relay_addresses
from meshbox.wire.gojson import parse_object
from meshbox.wire.keys import MachineKey, NodeKey
from meshbox.wire.prelude import key_reply

VERIFY_LIMIT = 4096
VERIFY_DEADLINE = 10.0
"""Bytes and seconds of a `/verify` body, which holds a key and an address."""

LOOPBACK = ("127.0.0.1", "::1")


class PublicPages:
    """What anybody may ask. `noise_public` is the key clients encrypt to."""

    def __init__(self, core: Core, health: Health, noise_public: bytes) -> None:
        self._core = core
        self._health = health
        # A stable stand-in for a key that only long-gone clients used; zero makes clients ask each time.
        legacy = MachineKey(hashlib.blake2s(b"meshbox legacy key" + noise_public).digest())
        self._key = key_reply(MachineKey(noise_public), legacy)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/key", self.key),
            web.get("/health", self.health),
            web.get("/version", self.version),
            web.get("/robots.txt", self.robots),
            web.post("/verify", self.verify),
        ]

    def unencrypted_routes(self) -> list[web.RouteDef]:
        """What may also be asked for on port 80: nothing that travels with a secret."""
        return [web.get("/key", self.key), web.get("/health", self.health)]

    async def key(self, request: web.Request) -> web.Response:
        # A client in a browser asks from whatever page it is part of.
        headers = {"Access-Control-Allow-Origin": "*"}
        return web.Response(body=self._key, content_type="application/json", headers=headers)

    async def health(self, request: web.Request) -> web.Response:
        """One word: what is wrong is not for strangers."""
        status = self._health.status
        return web.json_response(
            {"status": status},
            status=503 if status == "fail" else 200,
            content_type="application/health+json",
        )

    async def version(self, request: web.Request) -> web.Response:
        return web.json_response({"version": __version__})

    async def robots(self, request: web.Request) -> web.Response:
        return web.Response(text="User-agent: *\nDisallow: /\n")

    async def verify(self, request: web.Request) -> web.Response:
        """May this node use a relay? For relays in our map only: to others it would tell who is a member.

        Source: derp/derpserver (verifyClient): `{"NodePublic","Source"}` -> `{"Allow"}`.
        """
        t = self._core.tailnet
        asker = self.address_of(request)
        if asker not in LOOPBACK and asker not in relay_addresses(t.derp_map):
            log.emit_limited("verify_refused", asker, peer_ip=asker)
            self._core.metrics.count("meshbox_refused_total", "verify")
            return web.Response(status=403, text="this address is no relay of this tailnet\n")
        try:
            async with asyncio.timeout(VERIFY_DEADLINE):
                body = await request.content.read(VERIFY_LIMIT + 1)
                while len(body) <= VERIFY_LIMIT and not request.content.at_eof():
                    body += await request.content.read(VERIFY_LIMIT + 1)
        except TimeoutError:
            return web.Response(status=408, text="too slow\n")
        if len(body) > VERIFY_LIMIT:
            return web.Response(status=413, text="too long\n")
        try:
            key = NodeKey.parse(str(parse_object(body).get("NodePublic", "")))
        except Malformed as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.json_response({"Allow": t.admits(key, self._core.wall())})

    def address_of(self, request: web.Request) -> str:
        """The caller's address after the trusted-proxy rule."""
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address = str(peer[0]) if isinstance(peer, tuple) and peer else ""
        return client_address(request.headers, address, self._core.guard.trusted)
