"""What a browser says by itself: the cookie it was given, and whose page a form was sent from."""

from __future__ import annotations

from aiohttp import web

from meshbox.errors import Refused

VALUE_LIMIT = 128
"""Characters of a cookie that are looked at; ours have 43."""


def read_cookie(request: web.Request, name: str, server_url: str) -> str:
    """The value, "" without one."""
    return request.cookies.get(_full(name, server_url), "")[:VALUE_LIMIT]


def give_cookie(response: web.Response, name: str, value: str, server_url: str, seconds: float) -> None:
    """Not for scripts, not for other sites' forms; an empty value takes it away."""
    response.set_cookie(
        _full(name, server_url),
        value,
        max_age=int(seconds) if value else 0,
        httponly=True,
        secure=server_url.startswith("https:"),
        samesite="Lax",
    )


def require_own_page(request: web.Request, server_url: str, way_out: str) -> None:
    """The form was sent by our page, says the browser. Raises Refused with the way out."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    ours = server_url.removesuffix(":443" if server_url.startswith("https:") else ":80")
    is_own = origin in (None, ours) if site is None else site in ("same-origin", "none")
    if not is_own:
        raise Refused(f"this was sent by another site's page; {way_out}")


def _full(name: str, server_url: str) -> str:
    """With the prefix no other host of the domain can set it, which browsers see to."""
    return f"__Host-{name}" if server_url.startswith("https:") else name
