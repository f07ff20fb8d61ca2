"""Into the console and out of it: an API key for a session, and a session's cookie at every request."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from urllib.parse import quote

from aiohttp import web

from meshbox import log
from meshbox.config.openid import is_private_way
from meshbox.errors import Invalid, MeshboxError, Refused, TooLarge
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Context
from meshbox.serve.api.doors import TokenDoor
from meshbox.serve.console.form import Form, read_form
from meshbox.serve.console.rights import Holder, of_key, of_person
from meshbox.serve.console.sessions import LIFE, Session, Sessions
from meshbox.serve.console.sight import FORM_LIMIT, ROOT
from meshbox.serve.openid.desk import start_path
from meshbox.serve.pages.browser import give_cookie, read_cookie, require_own_page
from meshbox.serve.pages.page import Page, View, draw, headers_of
from meshbox.tailnet.model import User

ENTER = ROOT + "/enter"
LEAVE = ROOT + "/leave"
COOKIE = "meshbox-console"

WAY_OUT = "go back, load the page again and press the button there"


class Gate:
    """`is_private` says whether keys and cookies may travel to the server: encrypted, or on this very
    machine. Otherwise nobody gets in."""

    def __init__(self, context: Context, door: TokenDoor) -> None:
        self.context = context
        self.door = door
        self.is_private = is_private_way(context.server_url)
        self.sessions = Sessions(asyncio.get_running_loop().time, context.clock)
        self.entrance = Entrance(self)
        self.exit = Exit(self)

    def session(self, request: web.Request) -> Session | None:
        cookie = read_cookie(request, COOKIE, self.context.server_url)
        return self.sessions.find(cookie) if cookie else None

    async def form(self, request: web.Request, session: Session | None, limit: int = FORM_LIMIT) -> Form:
        """The form, which our own page sent. Raises Refused, Malformed, TooLarge, Invalid."""
        require_own_page(request, self.context.server_url, WAY_OUT)
        try:
            form = await read_form(request, limit)
        except TimeoutError:
            raise TooLarge("the form took too long to arrive") from None
        if session is not None and not hmac.compare_digest(
            form.text("form_token").encode(), session.form_token.encode()
        ):
            raise Refused(f"this form is of an earlier visit; {WAY_OUT}")
        return form

    def let_in(self, response: web.Response, actor: str, holder: Holder, user_id: int | None = None) -> None:
        """Begin a session: the answer carries its cookie."""
        cookie = self.sessions.begin(actor, holder, user_id)
        give_cookie(response, COOKIE, cookie, self.context.server_url, LIFE)
        log.emit("console_entered", actor=actor)

    def welcome(self, response: web.Response, user: User) -> None:
        """Begin a session for somebody who signed in at the provider."""
        self.let_in(response, f"oidc:{user.name}", of_person(self.context.tailnet, user), user.id)

    def turn_away(self, request: web.Request) -> web.Response:
        """To the entrance, and back afterwards."""
        return go(self.context, f"{ENTER}?next={quote(request.path_qs, safe='')}")


class Entrance:
    """The page where one signs in: anybody may see it."""

    audience = Audience.ANYONE

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def show(self, request: web.Request) -> web.Response:
        if self._gate.session(request) is not None:
            return go(self._gate.context, _next(request))
        return self._draw(request)

    async def enter(self, request: web.Request) -> web.Response:
        context = self._gate.context
        try:
            if not self._gate.is_private:
                raise Invalid("an API key does not travel in the clear; give the server https (docs/tls.md)")
            form = await self._gate.form(request, None)
            actor = self._gate.door.bearer(request, context, form.text("key").strip(), context.clock())
        except MeshboxError as refusal:
            return self._draw(request, refusal)
        response = go(context, _next(request))
        self._gate.let_in(response, actor, of_key(context.tailnet, actor.removeprefix("api:")))
        return response

    def _draw(self, request: web.Request, refusal: MeshboxError | None = None) -> web.Response:
        context = self._gate.context
        view = View(context, context.clock(), {})
        provider = "" if context.sign_in is None else start_path("console", secrets.token_urlsafe(9))
        values = {"has_key_form": self._gate.is_private, "provider": provider}
        page = Page("console-enter.html", "Sign in", values)
        answer = draw(view, page, refusal=refusal)
        # With `no-referrer` browsers say "null" for where a form comes from, even to us.
        answer.headers["Referrer-Policy"] = "same-origin"
        return answer


class Exit:
    audience = Audience.CONSOLE

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def leave(self, request: web.Request) -> web.Response:
        session = self._gate.session(request)
        response = go(self._gate.context, ENTER)
        if session is None:
            return response
        try:
            await self._gate.form(request, session)
        except MeshboxError as refusal:
            return web.Response(
                status=refusal.status, text=f"{refusal}\n", headers=headers_of(self._gate.context)
            )
        self._gate.sessions.end(read_cookie(request, COOKIE, self._gate.context.server_url))
        give_cookie(response, COOKIE, "", self._gate.context.server_url, 0)
        return response


def go(context: Context, path: str) -> web.Response:
    return web.Response(status=303, headers={**headers_of(context), "Location": path})


def _next(request: web.Request) -> str:
    """Where the visitor wanted to go: a path of the console, and of nobody else."""
    wanted = request.query.get("next", "")
    is_ours = wanted == ROOT or wanted.startswith((ROOT + "/", ROOT + "?"))
    return wanted if is_ours and wanted.isprintable() and len(wanted) < 1000 else ROOT
