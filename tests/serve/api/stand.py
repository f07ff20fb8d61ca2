"""A server's administration as it really is: API and pages on real sockets, a Tailnet on SQLite.

It runs in a thread of its own, because the command line's client blocks; `do` reaches into it.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from meshbox.cli.connection import SocketConnection
from meshbox.config import Policy
from meshbox.errors import Unreachable
from meshbox.serve import console, pages
from meshbox.serve.api import Context, SocketDoor, TokenDoor, routes
from meshbox.serve.hosting import application
from meshbox.serve.policydesk import PolicyDesk
from meshbox.store.store import SqliteStore
from meshbox.store.store import open as open_store
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.settings import DnsSettings, Settings
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.derpmap import DerpMap
from tests.tailnet.build import NOW

T = TypeVar("T")

URL = "https://mesh.example.org"
DOMAIN = "mesh.internal"
WIDE = IPv4Network("100.64.0.0/10")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        return str(self.json["message"])


@dataclass
class Stand:
    """`now` is the server's clock. `public` is the port of the listener for everybody."""

    directory: Path
    now: float = NOW
    seen: list[tuple[str, str, int]] = field(default_factory=list)
    is_fine: bool = True
    prefix: IPv4Network = WIDE
    address: str = "198.51.100.7"
    problems: dict[str, str] = field(default_factory=dict)
    doubts: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    policy: Policy = field(default_factory=Policy)
    asked: list[dict[str, Any]] = field(default_factory=list)
    answer: bytes | None = None
    url: str = URL
    """`asked` are the PingRequests that would have gone to clients, `answer` what all of them say."""

    def __enter__(self) -> Stand:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,))
        self._thread.start()
        assert ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        assert not self._thread.is_alive()

    @property
    def socket(self) -> Path:
        return self.directory / "api.sock"

    def do(self, act: Callable[[Tailnet], T]) -> T:
        """Run `act(tailnet)` where the tailnet lives."""

        async def inside() -> T:
            return act(self.tailnet)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(10)

    async def _ask_client(self, node: Node, question: Callable[[str], Any], within: float) -> bytes:
        """In place of clients: all of them give `answer`, or are not connected."""
        self.asked.append(question("https://ctl/x"))
        if self.answer is None:
            raise Unreachable(f"node {node.name} is not connected")
        return self.answer

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        """Over the unix socket. `body` is sent as JSON, or as it is when it is bytes."""
        return self._exchange(SocketConnection(self.socket, 10), method, path, body, headers)

    def ask_public(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.public, timeout=10)
        return self._exchange(connection, method, path, body, headers)

    @staticmethod
    def _exchange(
        connection: http.client.HTTPConnection, method: str, path: str, body: object, headers: dict[str, str]
    ) -> Answer:
        raw = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        try:
            connection.request(
                method, path, raw, {name.replace("_", "-"): text for name, text in headers.items()}
            )
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def _run(self, ready: threading.Event) -> None:
        asyncio.run(self._serve(ready))

    async def _serve(self, ready: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self.store: SqliteStore = open_store(self.directory / "db.sqlite", self.now)
        settings = Settings(dns=DnsSettings(base_domain=DOMAIN), prefix_v4=self.prefix)
        self.tailnet = Tailnet(settings, self.store, os.urandom, DerpMap(()), self.now)
        self.desk = PolicyDesk(self.tailnet, self.policy, lambda: self.now)
        await self.desk.start()
        context = Context(
            tailnet=self.tailnet,
            mapper=Mapper(self.tailnet),
            ask=self._ask_client,
            desk=self.desk,
            server_url=self.url,
            clock=lambda: self.now,
            started_at=self.now,
            store_answers=lambda: self.is_fine,
            observe=lambda method, route, status, seconds: self.seen.append((method, route, status)),
            troubles=lambda: (self.problems, self.doubts),
            facts=lambda: self.facts,
            audit=self.store.search_audit,
        )
        local = web.AppRunner(application(routes(context, SocketDoor())))
        door = TokenDoor(lambda request: self.address)
        public = web.AppRunner(application(_public(context, door)))
        await local.setup()
        await public.setup()
        await web.UnixSite(local, str(self.socket)).start()
        site = web.TCPSite(public, "127.0.0.1", 0)
        await site.start()
        server = public.server
        assert server is not None
        self.public = int(public.addresses[0][1])
        self.routes = [*local.app.router.routes(), *public.app.router.routes()]
        ready.set()
        await self._stop.wait()
        await local.cleanup()
        await public.cleanup()
        self.store.close()


def _public(context: Context, door: TokenDoor) -> list[web.RouteDef]:
    gate = console.Gate(context, door)
    return [*pages.routes(context, door, gate.welcome), *console.routes(gate), *routes(context, door)]
