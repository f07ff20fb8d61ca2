"""The provider, over HTTPS: its description and keys are kept a while, each person's code is redeemed once.

Nothing waits for it: a server whose provider is down starts, serves, and says so to whoever wants to sign in.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

from meshbox import __version__, log
from meshbox.config.openid import Oidc
from meshbox.errors import ConfigError, Malformed, Problem, Unreachable
from meshbox.wire import idtoken, openid
from meshbox.wire.idtoken import Expected, UnknownKey
from meshbox.wire.openid import ANSWER_LIMIT, Client, Metadata, Question

TIMEOUT = 5.0
"""Seconds for one answer. A person waits at the other end."""

METADATA_LIFE = 3600.0
KEYS_LIFE = 3600.0
KEYS_AT_MOST = 60.0
"""Seconds between two looks at the keys for a token whose key is unknown: tokens with invented key names must
not make us ask each time."""

REMEMBERED = 600.0
"""Seconds for which a failure stays in health: nobody asks the provider only to find out that it is back."""

DOWN_FOR = 2.0
"""Seconds for which a provider that failed is not asked again: one that answers nothing would hold up a
request of ours for each of a stranger's."""


class Provider:
    """`secret` is our password there. Raises ConfigError when oidc.ca_path is no good."""

    def __init__(self, config: Oidc, secret: str, redirect_uri: str, steady: Callable[[], float]) -> None:
        self.config = config
        self._client = Client(config.client_id, secret, redirect_uri)
        self._steady = steady
        self._trust = _trust(config.ca_path)
        self._metadata: Metadata | None = None
        self._metadata_at = 0.0
        self._keys: tuple[Mapping[str, Any], ...] = ()
        self._keys_at: float | None = None
        self._failed_at: float | None = None
        self._fault = ""

    def worry(self) -> str:
        """What was wrong with the provider just now; "" when nothing was, or nobody asked it."""
        is_old = self._failed_at is None or self._steady() - self._failed_at > REMEMBERED
        return "" if is_old else self._fault

    async def sign_in_url(self, question: Question) -> str:
        """Raises Unreachable."""
        metadata = await self._described()
        return openid.sign_in_url(
            metadata, self._client, question, self.config.scope, self.config.extra_params
        )

    async def issuer(self) -> str:
        """As the provider writes itself. Raises Unreachable."""
        return (await self._described()).issuer

    async def redeem(self, code: str, question: Question, now: Callable[[], float]) -> Mapping[str, Any]:
        """What the provider says of the person. Raises Unreachable, Unproven."""
        metadata = await self._described()
        headers, form = openid.redemption(metadata, self._client, code, question)
        status, body = await self._ask("POST", metadata.token_endpoint, headers, form)
        tokens = self._read(lambda: openid.read_tokens(status, body))
        expected = Expected(metadata.issuer, self._client.id, question.nonce, now())
        try:
            claims = idtoken.verify(tokens.id_token, await self._signing_keys(KEYS_LIFE), expected)
        except UnknownKey:
            claims = idtoken.verify(tokens.id_token, await self._signing_keys(KEYS_AT_MOST), expected)
        if not metadata.userinfo_endpoint or not tokens.access_token:
            return claims
        bearer = {"Authorization": f"Bearer {tokens.access_token}"}
        status, body = await self._ask("GET", metadata.userinfo_endpoint, bearer, None)
        # What the token says is enough to know who it is; without more, groups or address may be missing.
        if status != 200:
            log.emit("signin_no_userinfo", status=status, url=metadata.userinfo_endpoint)
            return claims
        return openid.with_userinfo(claims, self._read(lambda: openid.read_claims(body)))

    async def _described(self) -> Metadata:
        now = self._steady()
        if self._metadata is None or now - self._metadata_at > METADATA_LIFE:
            status, body = await self._ask("GET", openid.discovery_url(self.config.issuer), {}, None)
            if status != 200:
                raise self._failed(f"answered {status} at {openid.discovery_url(self.config.issuer)}")
            self._metadata = self._read(lambda: openid.read_metadata(body, self.config.issuer))
            self._metadata_at = now
        return self._metadata

    async def _signing_keys(self, life: float) -> tuple[Mapping[str, Any], ...]:
        now = self._steady()
        if self._keys_at is None or now - self._keys_at > life:
            status, body = await self._ask("GET", (await self._described()).jwks_uri, {}, None)
            if status != 200:
                raise self._failed(f"answered {status} when asked for its keys")
            self._keys, self._keys_at = self._read(lambda: idtoken.read_keys(body)), now
        return self._keys

    async def _ask(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> tuple[int, bytes]:
        if self._failed_at is not None and self._steady() - self._failed_at < DOWN_FOR:
            raise self._unreachable()
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=self._trust),
                    headers={"User-Agent": f"meshbox/{__version__}", "Accept": "application/json"},
                    trust_env=True,
                ) as http,
                http.request(method, url, data=form, headers=headers, allow_redirects=False) as response,
            ):
                body = await _limited(response.content)
        except TimeoutError:
            raise self._failed("did not answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise self._failed(f"cannot be reached: {error or type(error).__name__}") from None
        except Malformed as error:
            raise self._failed(str(error)) from None
        self._failed_at = None
        return response.status, body

    def _read(self, reader: Callable[[], Any]) -> Any:
        try:
            return reader()
        except Malformed as error:
            raise self._failed(str(error)) from None

    def _failed(self, what: str) -> Unreachable:
        self._fault = f"the sign-in provider {self.config.issuer} {what}"
        self._failed_at = self._steady()
        log.emit_limited("signin_unavailable", what, reason=self._fault)
        return self._unreachable()

    def _unreachable(self) -> Unreachable:
        """Without the reason, which is for whoever runs the server."""
        return Unreachable(
            f"the sign-in provider {self.config.issuer} cannot be reached, or not be understood"
        )


async def _limited(content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for piece in content.iter_any():
        body += piece
        if len(body) > ANSWER_LIMIT:
            raise Malformed(f"sent more than {ANSWER_LIMIT >> 10} KiB")
    return bytes(body)


def _trust(path: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=None if path is None else str(path))
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or "it holds no certificate"
        raise ConfigError(str(path), [Problem("oidc.ca_path", f"cannot be used: {reason}")]) from None
