"""From a request to a screen: who asks, which button was pressed, and the frame around it all."""

from __future__ import annotations

import inspect
from dataclasses import replace

from aiohttp import web

from meshbox import __version__
from meshbox.errors import Invalid, MeshboxError
from meshbox.serve.api.audience import Audience
from meshbox.serve.console.acts import ACTS, perform, told
from meshbox.serve.console.gate import LEAVE, Gate, go
from meshbox.serve.console.menu import entries
from meshbox.serve.console.sessions import Session
from meshbox.serve.console.sight import ROOT, Address, Screen, Sight
from meshbox.serve.pages.page import ENVIRONMENT, headers_of, own_fault


class ScreenHandler:
    audience = Audience.CONSOLE

    def __init__(self, gate: Gate, address: Address) -> None:
        self._context = gate.context
        self._gate = gate
        self._address = address
        self.path = address.path
        self.has_acts = bool(address.acts)

    async def show(self, request: web.Request) -> web.Response:
        session = self._gate.session(request)
        if session is None:
            return self._gate.turn_away(request)
        return await self._draw(session, self._sight(request, session))

    async def act(self, request: web.Request) -> web.Response:
        """A button was pressed: do what it stands for and show the screen again, with what came of it."""
        session = self._gate.session(request)
        if session is None:
            return self._gate.turn_away(request)
        sight = self._sight(request, session)
        try:
            form = await self._gate.form(request, session, self._address.form_limit)
            sight = replace(sight, given=form)
            name = form.text("act")
            if name not in self._address.acts:
                raise Invalid("press one of the buttons of this page")
            act = ACTS[name]
            notice, answer = await perform(self._context, session.actor, act, form)
        except MeshboxError as refusal:
            return await self._draw(session, sight, refusal)
        except Exception:
            return own_fault(self.path, headers_of(self._context))
        if act.is_question:
            return await self._draw(session, replace(sight, answers={name: answer}))
        session.notice = notice
        return go(self._context, act.then or request.path_qs)

    def _sight(self, request: web.Request, session: Session) -> Sight:
        now = self._context.clock()
        return Sight(self._context, session.actor, now, dict(request.match_info), dict(request.query))

    async def _draw(
        self, session: Session, sight: Sight, refusal: MeshboxError | None = None
    ) -> web.Response:
        try:
            status = 200 if refusal is None else refusal.status
            try:
                shown = self._address.function(sight)
                screen = await shown if inspect.isawaitable(shown) else shown
            except MeshboxError as error:
                # What it is about is gone, or never was.
                screen, refusal, status = (
                    Screen("console-gone.html", "Nothing here", "overview"),
                    error,
                    error.status,
                )
            return self._framed(session, sight, screen, refusal, status)
        except Exception:
            return own_fault(self.path, headers_of(self._context))

    def _framed(
        self, session: Session, sight: Sight, screen: Screen, refusal: MeshboxError | None, status: int
    ) -> web.Response:
        text = ENVIRONMENT.get_template(screen.template).render(
            screen.values,
            page={"title": screen.title, "refresh": None},
            menu=entries(sight.tailnet, screen.tab),
            who=session.actor,
            form_token=session.form_token,
            leave=LEAVE,
            root=ROOT,
            notice=session.take_notice(),
            refusal="" if refusal is None else told(refusal),
            given=sight.given,
            answers=sight.answers,
            server_url=self._context.server_url,
            version=__version__,
            now=sight.now,
        )
        headers = {**headers_of(self._context), "Referrer-Policy": "same-origin"}
        return web.Response(
            status=status, text=text, content_type="text/html", charset="utf-8", headers=headers
        )
