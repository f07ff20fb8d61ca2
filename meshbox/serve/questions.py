"""Questions to connected clients, and their answers: does it hear us, can it reach a peer, how is it.

A question goes out in the map stream and its answer comes back as a request in the same machine's tunnel, to
a path with a random token. Who asks waits; a client that does not answer in time is no error of ours.

Source: tailcfg.PingRequest; controlclient/direct.go (answerPing).
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshbox.errors import Busy, Unreachable
from meshbox.serve.core import Core
from meshbox.serve.sessions import Sessions
from meshbox.tailnet.model import Node
from meshbox.wire.gojson import Json
from meshbox.wire.h2 import Request
from meshbox.wire.keys import MachineKey

if TYPE_CHECKING:
    from meshbox.serve.tunnel import Tunnel

ANSWER_PATH = "/machine/answer/"

TOKEN_BYTES = 24
OPEN_AT_ONCE = 32
"""Questions that wait for an answer. Each may bring a megabyte."""


@dataclass(slots=True)
class Question:
    machine_key: MachineKey
    answer: asyncio.Future[bytes]


class Questions:
    def __init__(self, core: Core, sessions: Sessions) -> None:
        self._core = core
        self._sessions = sessions
        self._open: dict[str, Question] = {}

    async def ask(self, node: Node, question: Callable[[str], Json], within: float) -> bytes:
        """`question(url)` is the PingRequest. Raises Unreachable when the node is not connected or does not
        answer within so many seconds, and Busy."""
        if len(self._open) >= OPEN_AT_ONCE:
            raise Busy("too many questions wait for their answers; try again in a moment", 5)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        waiting = Question(node.machine_key, asyncio.get_running_loop().create_future())
        self._open[token] = waiting
        try:
            if not self._sessions.slip_in(node.id, {"PingRequest": question(self._url(token))}):
                raise Unreachable(f"node {node.name} is not connected")
            async with asyncio.timeout(within):
                return await waiting.answer
        except TimeoutError:
            raise Unreachable(f"node {node.name} did not answer within {within:.0f} seconds") from None
        finally:
            del self._open[token]

    def take(self, tunnel: Tunnel, request: Request) -> None:
        """An answer arrived: for nobody, when its question is over or was for another machine."""
        waiting = self._open.get(request.path.partition("?")[0].removeprefix(ANSWER_PATH))
        if waiting is None or waiting.machine_key != tunnel.machine_key or waiting.answer.done():
            tunnel.answer(request.stream_id, 404, b"nobody waits for this answer")
            return
        waiting.answer.set_result(request.body)
        tunnel.answer(request.stream_id, 204, headers=())

    def _url(self, token: str) -> str:
        # With https the client takes the tunnel it has, whatever the scheme of the server's own URL.
        return f"https://{self._core.server_url.partition('://')[2]}{ANSWER_PATH}{token}"
