"""`POST /admission`: control tells a relay who is admitted, see relay/roster.py.

On the local socket the file mode is the lock. Over the network a token is, and only when one is
configured; without one the path does not exist for strangers. The answer says where the relay stands
now: control sends the whole set after a 409.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from meshbox import log
from meshbox.errors import Malformed, PeerError
from meshbox.relay.roster import PUSH_LIMIT, decode
from meshbox.secrets import matches
from meshbox.serve.derpgate import Gate

PATH = "/admission"
DEADLINE = 10.0
"""Seconds for the body of a push."""

Facts = Callable[[], dict[str, object]]
"""What control is told of the relay with each answer."""


class Feed:
    """`token` is the hash of the token, None on the local socket."""

    def __init__(
        self, gate: Gate, facts: Callable[[], dict[str, object]], token: bytes | None = None
    ) -> None:
        self._gate = gate
        self._facts = facts
        self._token = token

    def routes(self) -> list[web.RouteDef]:
        return [web.post(PATH, self.push)]

    async def push(self, request: web.Request) -> web.Response:
        if self._token is not None:
            scheme, _, text = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not matches(text.strip(), self._token):
                log.emit_limited("derp_push_refused", request.remote, peer_ip=request.remote or "")
                return web.Response(status=401, text="wrong token\n")
        try:
            cut = self._gate.take(decode(await _body(request)))
        except PeerError as error:
            if isinstance(error, Malformed):
                return web.Response(status=400, text=f"{error}\n")
            return web.json_response(self._standing(), status=409)
        return web.json_response({**self._standing(), "cut": cut})

    def _standing(self) -> dict[str, object]:
        roster = self._gate.roster
        return {"epoch": roster.epoch, "generation": roster.generation, **self._facts()}


async def _body(request: web.Request) -> bytes:
    """Raises Malformed."""
    parts, size = [], 0
    try:
        async with asyncio.timeout(DEADLINE):
            async for part in request.content.iter_any():
                size += len(part)
                if size > PUSH_LIMIT:
                    raise Malformed(f"the push is longer than {PUSH_LIMIT} bytes")
                parts.append(part)
    except TimeoutError:
        raise Malformed("the push did not arrive in time") from None
    return b"".join(parts)
