"""From a request to a screen: who asks, which button was pressed, and the frame around it all."""

from __future__ import annotations

import inspect
from dataclasses import replace

from aiohttp import web

from meshbox import __version__
from meshbox.errors import Invalid, MeshboxError, Refused
from meshbox.serve.api.audience import Audience
from meshbox.serve.console.acts import ACTS, Act, Hand, perform, told
from meshbox.serve.console.gate import LEAVE, Gate, go
from meshbox.serve.console.menu import entries
from meshbox.serve.console.rights import Right
from meshbox.serve.console.sessions import Session
from meshbox.serve.console.sight import ROOT, Address, Screen, Sight
from meshbox.serve.pages.page import ENVIRONMENT, headers_of, own_fault

MINE = ROOT + "/mine"


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
        if session.right < self._address.needs:
            # Most of those who come here only want to see their own.
            return go(self._context, MINE)
        return await self._draw(session, self._sight(request, session))

    async def act(self, request: web.Request) -> web.Response:
        """A button was pressed: do what it stands for and show the screen again, with what came of it."""
        session = self._gate.session(request)
        if session is None:
            return self._gate.turn_away(request)
        if session.right < self._address.needs:
            return go(self._context, MINE)
        sight = self._sight(request, session)
        try:
            form = await self._gate.form(request, session, self._address.form_limit)
            sight = replace(sight, given=form)
            name = form.text("act")
            if name not in self._address.acts:
                raise Invalid("press one of the buttons of this page")
            act = ACTS[name]
            self._require_right(session, act)
            hand = Hand(session.actor, session.user_id)
            notice, answer = await perform(self._context, hand, act, form)
        except MeshboxError as refusal:
            return await self._draw(session, sight, refusal)
        except Exception:
            return own_fault(self.path, headers_of(self._context))
        if act.is_question:
            return await self._draw(session, replace(sight, answers={name: answer}))
        session.notice = notice
        return go(self._context, act.then or request.path_qs)

    def _require_right(self, session: Session, act: Act) -> None:
        needed = self._address.needs if act.is_question else self._address.acts_need
        if session.right < needed:
            raise Refused("you may look at everything here, and change nothing")

    def _sight(self, request: web.Request, session: Session) -> Sight:
        now = self._context.clock()
        places, query = dict(request.match_info), dict(request.query)
        return Sight(self._context, session.actor, now, places, query, user_id=session.user_id)

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
            menu=entries(sight.tailnet, session, screen.tab),
            who=session.actor,
            may_act=session.right is Right.ALL,
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
