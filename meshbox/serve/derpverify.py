"""Asking a control server's `/verify` whether a client may use this relay, as the official relay asks.

POST `{"NodePublic":"nodekey:...","Source":"192.0.2.1"}`; the answer is a yes only if its status is 200 and
it says `{"Allow":true}`. Failing open covers an asked server that does not answer at all: everything it
does answer that is no yes is a no (tailscale derp/derpserver, verifyClient).
"""

from __future__ import annotations

import asyncio

import aiohttp

from meshbox import log
from meshbox.errors import Malformed
from meshbox.wire.gojson import parse_object
from meshbox.wire.keys import NodeKey

PATIENCE = 5.0
"""Seconds until an answer must be there (as the official relay)."""

ANSWER_LIMIT = 4096

TOGETHER = 64
"""Questions under way at once. Strangers choose their number; the others wait their turn."""


class Verifier:
    """One server that is asked. `close` it in the end."""

    def __init__(self, url: str, fails_open: bool) -> None:
        self._url = url
        self._fails_open = fails_open
        self._session: aiohttp.ClientSession | None = None
        self._turns = asyncio.Semaphore(TOGETHER)

    async def allows(self, key: NodeKey, source: str) -> bool:
        try:
            async with asyncio.timeout(PATIENCE), self._turns:
                return await self._ask(key, source)
        except (OSError, aiohttp.ClientError, TimeoutError) as error:
            log.emit_limited("derp_verify_failed", "", url=self._url, reason=repr(error))
            return self._fails_open

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, key: NodeKey, source: str) -> bool:
        if self._session is None:
            # Proxies of the environment are for people's tools, not for a daemon's admission.
            self._session = aiohttp.ClientSession(trust_env=False)
        question = {"NodePublic": str(key), "Source": source}
        async with self._session.post(self._url, json=question, allow_redirects=False) as answer:
            if answer.status != 200:
                log.emit_limited(
                    "derp_verify_failed", "", url=self._url, reason=f"it answers with status {answer.status}"
                )
                return False
            body = await answer.content.read(ANSWER_LIMIT)
        return _says_yes(body)


def _says_yes(body: bytes) -> bool:
    try:
        fields = parse_object(body)
    except Malformed:
        return False
    return any(name.lower() == "allow" and value is True for name, value in fields.items())
