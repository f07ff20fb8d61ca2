"""The answer for a path the API does not have, or not with this method."""

from __future__ import annotations

from aiohttp import web
from aiohttp.abc import AbstractMatchInfo

from meshbox.serve.api.answers import refusal
from meshbox.serve.api.audience import Audience


class Unknown:
    """Says nothing about the tailnet, so that anybody may be told."""

    audience = Audience.ANYONE

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    async def answer(self, request: web.Request) -> web.Response:
        allowed = await self._methods(request)
        if allowed:
            text = f"{request.method} is not possible here; {' and '.join(allowed)} is"
            return refusal(405, text, {"Allow": ", ".join(allowed)})
        return refusal(404, f"the API has no such path; it starts with {self._prefix}/")

    async def _methods(self, request: web.Request) -> list[str]:
        """The methods with which this path exists."""
        allowed: set[str] = set()
        for resource in request.app.router.resources():
            match: tuple[AbstractMatchInfo | None, set[str]] = await resource.resolve(request)
            if match[0] is None:
                allowed |= match[1]
        return sorted(allowed)
