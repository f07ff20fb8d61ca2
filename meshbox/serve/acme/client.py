"""Holds a conversation with an authority over HTTPS: does what the generator of wire/acme/order asks for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import aiohttp

from meshbox import __version__
from meshbox.errors import CertificateError, Malformed, NotIssued
from meshbox.wire.acme.messages import Reply
from meshbox.wire.acme.order import Ask, Pause, Publish, Steps

T = TypeVar("T")

REQUEST_TIMEOUT = 30.0
CONVERSATION_TIMEOUT = 600.0
"""Seconds. Let's Encrypt takes about ten for a whole order."""

BODY_LIMIT = 1 << 20
"""Bytes of an answer. A chain has a few thousand."""


class Client:
    """`publish(token, text)` serves a challenge. `ca_path` is trusted instead of the system's authorities.
    Raises CertificateError when that file is no good."""

    def __init__(self, ca_path: Path | None, publish: Callable[[str, str], None]) -> None:
        self._publish = publish
        try:
            self._trust = ssl.create_default_context(cafile=None if ca_path is None else str(ca_path))
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or "it holds no certificate"
            raise CertificateError(f"acme.ca_path {ca_path} cannot be used: {reason}") from None

    async def hold(self, steps: Steps[T]) -> T:
        """Raises NotIssued for whatever went wrong with the authority or on the way to it."""
        try:
            async with (
                asyncio.timeout(CONVERSATION_TIMEOUT),
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._trust),
                    timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT),
                    headers={"User-Agent": f"meshbox/{__version__}"},
                    trust_env=True,
                ) as http,
            ):
                return await self._hold(http, steps)
        except Malformed as fault:
            raise NotIssued(f"it {fault}") from None
        except TimeoutError:
            raise NotIssued("it did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise NotIssued(f"it cannot be reached: {error or type(error).__name__}") from None

    async def _hold(self, http: aiohttp.ClientSession, steps: Steps[T]) -> T:
        reply: Reply | None = None
        while True:
            try:
                step = steps.send(reply)
            except StopIteration as end:
                result: T = end.value
                return result
            reply = None
            match step:
                case Ask():
                    reply = await _ask(http, step)
                case Publish(token, text):
                    self._publish(token, text)
                case Pause(seconds):
                    await asyncio.sleep(seconds)


async def _ask(http: aiohttp.ClientSession, step: Ask) -> Reply:
    headers = {"Content-Type": "application/jose+json"} if step.body else {}
    async with http.request(
        step.method, step.url, data=step.body or None, headers=headers, allow_redirects=not step.body
    ) as response:
        body = bytearray()
        async for piece in response.content.iter_any():
            body += piece
            if len(body) > BODY_LIMIT:
                raise Malformed(f"sent more than {BODY_LIMIT >> 20} MiB")
        found = {name.lower(): value for name, value in response.headers.items()}
        return Reply(response.status, found, bytes(body))
