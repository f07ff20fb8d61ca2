"""`/oidc/...`: a browser on its way to the sign-in provider and back, and the question that decides.

The question is what makes a link harmless that somebody else sends: signing in alone lets nothing in, only
the button below the device's name does, in the browser that was sent to the provider.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from aiohttp import web

from meshbox.errors import MeshboxError, NotFound, Unreachable
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Context
from meshbox.serve.openid.desk import CALLBACK, START, Arrival, SignInDesk, label
from meshbox.serve.openid.journeys import LIFE, Kind
from meshbox.serve.pages.browser import give_cookie, read_cookie, require_own_page
from meshbox.serve.pages.page import CONSOLE_PATH, FORM_LIMIT, Page, View, draw, headers_of, own_fault
from meshbox.serve.pages.register import device_facts
from meshbox.tailnet.checks import describe
from meshbox.tailnet.model import CHECK_PATH, REGISTER_PATH, User
from meshbox.tailnet.signin import find, is_administrator, is_auditor

CONFIRM = "/oidc/confirm"
COOKIE = "meshbox"
KINDS: dict[str, Kind] = {"register": "register", "ssh": "ssh", "console": "console"}
PAGE_OF: dict[Kind, str] = {"register": REGISTER_PATH, "ssh": CHECK_PATH}

Welcome = Callable[[web.Response, User], None]
"""`welcome(response, user)` lets the person into the console."""


def routes(context: Context, desk: SignInDesk, welcome: Welcome | None) -> list[web.RouteDef]:
    """Without a `welcome` there is no console to sign in to."""
    way, wish = Way(context, desk, has_console=welcome is not None), Wish(context, desk, welcome)
    return [
        web.get(START + "{kind}/{id}", way.start, allow_head=False),
        web.get(CALLBACK, way.back, allow_head=False),
        web.post(CONFIRM, wish.confirm),
    ]


class Way:
    """There and back: changes nothing in the tailnet."""

    audience = Audience.ANYONE

    def __init__(self, context: Context, desk: SignInDesk, has_console: bool) -> None:
        self._context = context
        self._desk = desk
        self._has_console = has_console

    async def start(self, request: web.Request) -> web.Response:
        view, kind = self._view(request), KINDS.get(request.match_info["kind"])
        browser = _browser(request, self._context) or secrets.token_urlsafe(32)
        try:
            if kind is None or (kind == "console" and not self._has_console):
                raise NotFound("there is nothing to sign in for under this link")
            url = await self._desk.begin(kind, view.path["id"], browser)
        except Unreachable as down:
            page = PAGE_OF.get(kind) if kind else None
            return _failed(view, down, by_administrator=f"{page}{view.path['id']}" if page else "")
        except MeshboxError as refusal:
            return _failed(view, refusal)
        response = web.Response(status=303, headers={**headers_of(self._context), "Location": url})
        give_cookie(response, COOKIE, browser, self._context.server_url, LIFE)
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

    def __init__(self, context: Context, desk: SignInDesk, welcome: Welcome | None) -> None:
        self._context = context
        self._desk = desk
        self._welcome = welcome

    async def confirm(self, request: web.Request) -> web.Response:
        view = View(self._context, self._context.clock(), {})
        if (request.content_length or 0) > FORM_LIMIT:
            return web.Response(status=413, headers=headers_of(self._context))
        try:
            require_own_page(request, self._context.server_url, "open the link of the device again")
            token = (await request.post()).get("token")
            target, user = self._desk.confirm(
                token if isinstance(token, str) else "", _browser(request, self._context)
            )
        except MeshboxError as refusal:
            return _failed(view, refusal)
        except Exception:
            return own_fault(CONFIRM, headers_of(self._context))
        if target.kind != "console":
            return draw(view, Page("", "", location=PAGE_OF[target.kind] + target.id))
        response = draw(view, Page("", "", location=CONSOLE_PATH))
        if self._welcome is not None:
            self._welcome(response, user)
        return response


def _question(view: View, arrival: Arrival) -> Page:
    t, target = view.context.tailnet, arrival.target
    values: dict[str, object] = {
        "token": arrival.token,
        "confirm": CONFIRM,
        "kind": target.kind,
        "who": label(arrival.identity),
    }
    if target.kind == "console":
        user = find(t, arrival.identity)
        values["may_all"] = user is not None and is_administrator(user)
        values["may_look"] = user is not None and is_auditor(user)
        return Page("signin-confirm.html", "Sign in to the console?", values)
    if target.kind == "ssh":
        values["what"] = describe(t, t.checks[target.id])
        return Page("signin-confirm.html", "Is this your login?", values)
    return Page("signin-confirm.html", "Is this your device?", values | device_facts(t.pending[target.id]))


def _failed(view: View, refusal: MeshboxError, by_administrator: str = "") -> web.Response:
    values = {"by_administrator": by_administrator}
    title = "Signing in is not possible now" if isinstance(refusal, Unreachable) else "You are not signed in"
    return draw(view, Page("signin-failed.html", title, values), refusal=refusal)


def _browser(request: web.Request, context: Context) -> str:
    return read_cookie(request, COOKIE, context.server_url)
