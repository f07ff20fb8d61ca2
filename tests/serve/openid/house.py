"""A server with a sign-in provider that lies on demand, and browsers that are not the same."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.fake.node import FakeNode
from tests.fake.provider import CLIENT_ID, SECRET, FakeProvider
from tests.fake.server import FakeServer, write_config


@dataclass
class Browser:
    """One browser: follows no redirect by itself, so that a test may stop anywhere."""

    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def ask(self, path: str, **more: Any) -> tuple[int, str, str]:
        """(status, Location, text)."""
        method = "POST" if "data" in more else "GET"
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {"Cookie": kept, **more.pop("headers", {})}
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(method, self.base + path, allow_redirects=False, headers=headers, **more) as answer,
        ):
            for name, cookie in answer.cookies.items():
                self.cookies[name] = cookie.value
            return answer.status, answer.headers.get("Location", ""), await answer.text()


@dataclass
class House:
    server: FakeServer
    provider: FakeProvider

    def browser(self) -> Browser:
        return Browser(f"http://127.0.0.1:{self.server.door[1]}")

    async def waiting(self, name: str = "laptop") -> tuple[FakeNode, str]:
        """A device that waits, and the path of its page."""
        node = self.server.node(name)
        answer = await node.register("")
        return node, "/register/" + answer.json["AuthURL"].rpartition("/")[2]

    async def there(self, browser: Browser, page: str) -> dict[str, str]:
        """As far as the provider; returns what it sends back with the browser."""
        status, start, _ = await browser.ask(page)
        assert status == 303, status
        return await self.there_from(browser, start)

    async def there_from(self, browser: Browser, start: str) -> dict[str, str]:
        status, away, text = await browser.ask(start)
        assert status == 303, text
        return self.provider.sign_in(away)

    async def back(self, browser: Browser, query: dict[str, str]) -> tuple[int, str]:
        status, _, text = await browser.ask("/oidc/callback", params=query)
        return status, text

    async def wish(self, browser: Browser, question: str, **headers: str) -> tuple[int, str]:
        token = question.partition('name="token" value="')[2].partition('"')[0]
        status, location, text = await browser.ask("/oidc/confirm", data={"token": token}, headers=headers)
        return status, location or text

    @property
    def names(self) -> list[str]:
        return [node.hostname for node in self.server.tailnet.nodes.values()]


def settings(directory: Path, issuer: str, url: str = "http://127.0.0.1:1", **more: object) -> Path:
    secret = directory / "secret"
    secret.write_text(SECRET + "\n")
    oidc = {"issuer": issuer, "client_id": CLIENT_ID, "client_secret_path": str(secret), **more}
    return write_config(directory, oidc=oidc, server_url=url)
