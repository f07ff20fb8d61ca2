"""Port 80: what authorities and clients ask for without TLS; everybody else is sent to server_url.

Official clients try /ts2021 here first and port 443 half a second later (control/controlhttp); what they
send is encrypted by Noise either way. They look for captive portals here too (/generate_204). An API key
must not travel like this, so nothing but a page may be asked for again elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web


def routes(server_url: str, served: Iterable[web.RouteDef]) -> list[web.RouteDef]:
    """`served` is answered here, anything else redirected."""

    async def elsewhere(request: web.Request) -> web.Response:
        if request.method not in ("GET", "HEAD"):
            return web.Response(status=403, text=f"this is not encrypted: use {server_url}\n")
        # The path as it was sent: decoded and encoded again it could be another one.
        return web.Response(status=308, headers={"Location": server_url + request.raw_path})

    return [*served, web.route("*", "/{rest:.*}", elsewhere)]
