"""What a relay answers over plain HTTP: probes, the captive portal check, bootstrap DNS.

`routes` is mounted on aiohttp next to whatever else the listener serves; `/derp` itself arrives here only
without an upgrade (the front takes those that ask for one). A relay that has a listener for itself adds
`own_pages`, and `plain_routes` is all that its port 80 answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

from aiohttp import web

CHALLENGE = re.compile(r"[A-Za-z0-9._:-]{1,64}")
"""What may be echoed in a header; anything else is nothing a client sends (derpserver/handler.go)."""

NO_STORE = "no-cache, no-store, must-revalidate, no-transform, max-age=0"

SAFE_HEADERS = {
    "Strict-Transport-Security": "max-age=63072000",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; form-action 'none'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}

HOST = re.compile(r"[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]")

HOME = """<!doctype html><html lang="en"><meta charset="utf-8"><title>DERP relay</title>
<h1>DERP relay</h1><p>This is a relay for the nodes of a tailnet. There is nothing to see here.</p></html>
"""

Names = Mapping[str, Iterable[str]]
Route = web.RouteDef


def routes(names: Callable[[], Names]) -> list[web.RouteDef]:
    """`names()` is what /bootstrap-dns tells: host name -> addresses, from memory."""

    async def bootstrap_dns(request: web.Request) -> web.Response:
        """For clients whose resolver fails: where the control server is. Nothing is looked up here: a
        stranger's request must not become a DNS query."""
        known = names()
        asked = request.query.get("q", "")
        told = {asked: known[asked]} if asked in known else known
        answer = {name: list(addresses) for name, addresses in told.items()}
        return web.json_response(answer, headers={**SAFE_HEADERS, "Connection": "close"})

    return [
        web.get("/derp/probe", probe),
        web.get("/derp/latency-check", probe),
        web.get("/generate_204", generate_204),
        web.get("/bootstrap-dns", bootstrap_dns),
    ]


def captive_portal() -> list[web.RouteDef]:
    """For port 80 of a machine whose relay has no port of its own: its clients ask there too."""
    return [web.get("/generate_204", generate_204)]


def own_pages(home: str) -> list[web.RouteDef]:
    """`home` is "" for a page that says what this is, "blank" for nothing, or a URL to send people to."""

    async def show_home(request: web.Request) -> web.Response:
        if home and home != "blank":
            return web.Response(status=302, headers={**SAFE_HEADERS, "Location": home})
        return web.Response(text="" if home else HOME, content_type="text/html", headers=SAFE_HEADERS)

    async def robots(request: web.Request) -> web.Response:
        return web.Response(text="User-agent: *\nDisallow: /\n", headers=SAFE_HEADERS)

    return [web.get("/", show_home), web.get("/robots.txt", robots)]


def plain_routes() -> list[web.RouteDef]:
    """Port 80: a client asks /generate_204 there by address, and anything but 204 means a captive portal to
    it. People who came without the s are sent on."""

    async def to_https(request: web.Request) -> web.Response:
        host = request.host.rpartition(":")[0] if re.search(r":\d+$", request.host) else request.host
        if request.method not in ("GET", "HEAD") or not HOST.fullmatch(host):
            return web.Response(status=400, text="use https\n")
        return web.Response(status=302, headers={"Location": f"https://{host}{request.rel_url.raw_path_qs}"})

    return [web.get("/generate_204", generate_204), web.route("*", "/{rest:.*}", to_https)]


async def probe(request: web.Request) -> web.Response:
    """Clients measure the time this takes when UDP is blocked. Browsers ask from anywhere."""
    return web.Response(headers={"Access-Control-Allow-Origin": "*"})


async def generate_204(request: web.Request) -> web.Response:
    """Is there a captive portal in between? One that cannot echo the challenge is found out."""
    headers = {"Cache-Control": NO_STORE}
    challenge = request.headers.get("X-Tailscale-Challenge", "")
    if CHALLENGE.fullmatch(challenge):
        headers["X-Tailscale-Response"] = f"response {challenge}"
    return web.Response(status=204, headers=headers)
