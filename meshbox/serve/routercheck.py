"""Signs of life from routers that share a route: asked in rounds, all at once.

The question travels in the map stream and the answer through the tunnel, so an answer shows that the router's
own client runs and that its network carries both ways. It does not show that the router forwards packets.

A miss counts only when it is surely the router's: not when its session was replaced meanwhile, and not when
our own loop was late and answers lay unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from meshbox import log
from meshbox.serve.core import Core
from meshbox.serve.questions import Questions
from meshbox.serve.sessions import Sessions
from meshbox.tailnet.model import Node
from meshbox.tailnet.routers import note_answers, sharing_routers

LATE = 1.0
"""Seconds. A loop that was later than this gives no verdict on anybody."""


class RouterCheck:
    """`lag()` is how late the loop was, in seconds. Call `beat` once a second."""

    def __init__(
        self, core: Core, questions: Questions, sessions: Sessions, lag: Callable[[], float]
    ) -> None:
        self._core = core
        self._questions = questions
        self._sessions = sessions
        self._lag = lag
        self._next_at = 0.0
        self._worst_lag = 0.0
        self._round: asyncio.Task[None] | None = None

    def beat(self) -> None:
        interval = self._core.tailnet.settings.probe_interval
        now = self._core.steady()
        self._worst_lag = max(self._worst_lag, self._lag())
        if now < self._next_at or (self._round is not None and not self._round.done()):
            return
        # Beats come a second apart, give or take: half a second early is better than half a second late.
        self._next_at = now + max(interval, 1.0) - 0.5
        routers = sharing_routers(self._core.tailnet) if interval else []
        silent = self._core.tailnet.presence.silent
        # Not asked any more: alone with its routes, or the check was switched off.
        answers = dict.fromkeys(silent - {node.id for node in routers}, True)
        if routers:
            self._round = asyncio.get_running_loop().create_task(self._ask_all(routers, answers))
        elif answers:
            note_answers(self._core.tailnet, answers)

    def stop(self) -> None:
        if self._round is not None:
            self._round.cancel()

    async def _ask_all(self, routers: list[Node], answers: dict[int, bool]) -> None:
        self._worst_lag = self._lag()
        verdicts = await asyncio.gather(*map(self._ask, routers))
        if max(self._worst_lag, self._lag()) > LATE:
            return
        for node, heard in zip(routers, verdicts, strict=True):
            if heard is not None:
                answers[node.id] = heard
        for node in note_answers(self._core.tailnet, answers):
            if answers[node.id]:
                log.emit("router_answers", node=node.name)
            else:
                log.emit("router_silent", node=node.name, seconds=self._core.tailnet.settings.probe_timeout)

    async def _ask(self, node: Node) -> bool | None:
        """Does it hear us? None: nobody knows."""
        before = self._sessions.of(node.id)
        if await self._questions.is_heard(node, self._core.tailnet.settings.probe_timeout):
            return True
        return False if before is not None and self._sessions.of(node.id) is before else None
