"""aiohttp as we host it: small bodies, no banner, a patience for idle connections."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

BODY_LIMIT = 64 * 1024
"""Bytes of a public request's body."""

KEEP_ALIVE = 30.0
"""Seconds an idle connection stays for the next request."""


async def without_banner(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")


def application(routes: Iterable[web.AbstractRouteDef]) -> web.Application:
    app = web.Application(client_max_size=BODY_LIMIT)
    app.on_response_prepare.append(without_banner)
    app.add_routes(routes)
    return app
