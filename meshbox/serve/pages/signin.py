"""`/oidc/...`: a browser on its way to the sign-in provider and back, and the question that decides.

The question is what makes a link harmless that somebody else sends: signing in alone lets nothing in, only
the button below the device's name does, in the browser that was sent to the provider.
"""

from __future__ import annotations

import secrets

from aiohttp import web

from meshbox.errors import MeshboxError, NotFound, Refused, Unreachable
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Context
from meshbox.serve.openid.desk import CALLBACK, START, Arrival, SignInDesk, label
from meshbox.serve.openid.journeys import LIFE, Kind
from meshbox.serve.pages.page import FORM_LIMIT, Page, View, draw, headers_of, own_fault
from meshbox.serve.pages.register import device_facts
from meshbox.tailnet.checks import describe
from meshbox.tailnet.model import CHECK_PATH, REGISTER_PATH

CONFIRM = "/oidc/confirm"
KINDS: dict[str, Kind] = {"register": "register", "ssh": "ssh"}
PAGE_OF: dict[Kind, str] = {"register": REGISTER_PATH, "ssh": CHECK_PATH}


def routes(context: Context, desk: SignInDesk) -> list[web.RouteDef]:
    way, wish = Way(context, desk), Wish(context, desk)
    return [
        web.get(START + "{kind}/{id}", way.start, allow_head=False),
        web.get(CALLBACK, way.back, allow_head=False),
        web.post(CONFIRM, wish.confirm),
    ]


class Way:
    """There and back: changes nothing in the tailnet."""

    audience = Audience.ANYONE

    def __init__(self, context: Context, desk: SignInDesk) -> None:
        self._context = context
        self._desk = desk

    async def start(self, request: web.Request) -> web.Response:
        view, kind = self._view(request), KINDS.get(request.match_info["kind"])
        browser = _browser(request, self._context) or secrets.token_urlsafe(32)
        try:
            if kind is None:
                raise NotFound("there is nothing to sign in for under this link")
            url = await self._desk.begin(kind, view.path["id"], browser)
        except Unreachable as down:
            return _failed(view, down, by_administrator=f"{PAGE_OF[kind or 'ssh']}{view.path['id']}")
        except MeshboxError as refusal:
            return _failed(view, refusal)
        response = web.Response(status=303, headers={**headers_of(self._context), "Location": url})
        secure = self._context.server_url.startswith("https:")
        response.set_cookie(
            _cookie(self._context), browser, max_age=int(LIFE), httponly=True, secure=secure, samesite="Lax"
        )
        return response

    async def back(self, request: web.Request) -> web.Response:
        view = self._view(request)
        try:
            arrival = await self._desk.arrive(view.query, _browser(request, self._context))
            answer = draw(view, _question(view, arrival))
            # With `no-referrer` browsers say "null" for where a form comes from, even to us.
            answer.headers["Referrer-Policy"] = "same-origin"
            return answer
        except MeshboxError as refusal:
            return _failed(view, refusal)
        except Exception:
            return own_fault(CALLBACK, headers_of(self._context))

    def _view(self, request: web.Request) -> View:
        return View(self._context, self._context.clock(), dict(request.match_info), dict(request.query))


class Wish:
    """The button."""

    audience = Audience.SIGNED_IN

    def __init__(self, context: Context, desk: SignInDesk) -> None:
        self._context = context
        self._desk = desk

    async def confirm(self, request: web.Request) -> web.Response:
        view = View(self._context, self._context.clock(), {})
        if (request.content_length or 0) > FORM_LIMIT:
            return web.Response(status=413, headers=headers_of(self._context))
        try:
            _require_own_page(request, self._context)
            token = (await request.post()).get("token")
            target = self._desk.confirm(
                token if isinstance(token, str) else "", _browser(request, self._context)
            )
        except MeshboxError as refusal:
            return _failed(view, refusal)
        except Exception:
            return own_fault(CONFIRM, headers_of(self._context))
        return draw(view, Page("", "", location=PAGE_OF[target.kind] + target.id))


def _question(view: View, arrival: Arrival) -> Page:
    t, target = view.context.tailnet, arrival.target
    values: dict[str, object] = {
        "token": arrival.token,
        "confirm": CONFIRM,
        "kind": target.kind,
        "who": label(arrival.identity),
    }
    if target.kind == "ssh":
        values["what"] = describe(t, t.checks[target.id])
        return Page("signin-confirm.html", "Is this your login?", values)
    return Page("signin-confirm.html", "Is this your device?", values | device_facts(t.pending[target.id]))


def _failed(view: View, refusal: MeshboxError, by_administrator: str = "") -> web.Response:
    values = {"by_administrator": by_administrator}
    title = "Signing in is not possible now" if isinstance(refusal, Unreachable) else "You are not signed in"
    return draw(view, Page("signin-failed.html", title, values), refusal=refusal)


def _cookie(context: Context) -> str:
    """With the prefix no other host of the domain can set it, which browsers see to."""
    return "__Host-meshbox" if context.server_url.startswith("https:") else "meshbox"


def _browser(request: web.Request, context: Context) -> str:
    return request.cookies.get(_cookie(context), "")[:128]


def _require_own_page(request: web.Request, context: Context) -> None:
    """The form was sent by our page, says the browser. Raises Refused."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    ours = context.server_url.removesuffix(":443" if context.server_url.startswith("https:") else ":80")
    is_own = origin in (None, ours) if site is None else site in ("same-origin", "none")
    if not is_own:
        raise Refused("this was sent by another site's page; open the link of the device again")
