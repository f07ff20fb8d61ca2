"""Connections that somebody in front of us keeps for the next request, perhaps of another client.

Which protocol a connection speaks, and whom it counts for, its first request decides (serve/front.py); from
there on it is aiohttp's. Caddy and Traefik keep it and send the next client's upgrade along: aiohttp answered
404, and behind such a proxy nobody could join. So a trusted proxy gets one answer per connection, and an
upgrade that comes late anyway is told to come again on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from aiohttp import web

from meshbox.serve.guard import Guard, peer_of
from meshbox.serve.head import is_within

LATE = "this connection was used before: upgrade a new one\n"
Signal = Callable[[web.Request, web.StreamResponse], Awaitable[None]]


def close_behind_proxies(guard: Guard) -> Signal:
    """For on_response_prepare. `guard` knows the proxies that are trusted now."""

    async def close(request: web.Request, response: web.StreamResponse) -> None:
        peer = peer_of(request.transport) if request.transport is not None else ""
        if is_within(peer, guard.trusted):
            response.force_close()
            # aiohttp has written this header already, as it would have been.
            response.headers["Connection"] = "close"

    return close


def late_upgrades(paths: Iterable[str]) -> list[web.RouteDef]:
    """421 (RFC 9110): another connection may have another answer."""

    async def refuse(request: web.Request) -> web.Response:
        answer = web.Response(status=421, text=LATE)
        answer.force_close()
        return answer

    return [web.route("*", path, refuse) for path in paths]
