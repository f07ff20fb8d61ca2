"""What an authority finds below /.well-known/acme-challenge/: our own answers, or files that certbot wrote.

Served on port 80, where authorities ask, and on the main listener, for a port 80 that another program has
and redirects to us.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from pathlib import Path

from aiohttp import web

PATH = "/.well-known/acme-challenge/"
TOKEN = re.compile(r"[A-Za-z0-9_-]{16,128}")
"""base64url of at least 128 bits (RFC 8555 section 8.3). Nothing else is looked up, so no name leads out of
the directory."""

ANSWER_LIMIT = 4096
"""Bytes of a challenge file; sensible ones have about ninety."""

KEPT = 100
"""Answers remembered. An authority may ask again for a while, from several places."""


class Challenges:
    """`webroot` is where another program puts its answers, as certbot --webroot does."""

    def __init__(self, webroot: Path | None = None) -> None:
        self._directory = None if webroot is None else webroot / PATH.strip("/")
        self._texts: OrderedDict[str, str] = OrderedDict()

    def publish(self, token: str, text: str) -> None:
        self._texts[token] = text
        while len(self._texts) > KEPT:
            self._texts.popitem(last=False)

    def routes(self) -> list[web.RouteDef]:
        return [web.get(PATH + "{token}", self.answer)]

    async def answer(self, request: web.Request) -> web.Response:
        text = self.text(request.match_info["token"])
        if text is None:
            return web.Response(status=404, text="no such challenge\n")
        return web.Response(body=text, content_type="text/plain")

    def text(self, token: str) -> bytes | None:
        if not TOKEN.fullmatch(token):
            return None
        ours = self._texts.get(token)
        if ours is not None:
            return ours.encode()
        if self._directory is None:
            return None
        try:
            with (self._directory / token).open("rb") as file:
                return file.read(ANSWER_LIMIT)
        except OSError:
            return None
