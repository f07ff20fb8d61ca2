"""The three HTTP applications that aiohttp hosts: for everybody, for the administrator, for the monitor.

The public one has no listener of its own: `front` hands connections to it. The administrator's is on
the unix socket, the monitor's on metrics_listen_addr.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

from aiohttp import web

from meshbox.serve.core import Core
from meshbox.serve.health import Health
from meshbox.serve.listeners import BACKLOG
from meshbox.serve.metrics import Sample
from meshbox.serve.web import KEEP_ALIVE, application

SHUTDOWN_PATIENCE = 1.0
"""Seconds that requests which are being answered get at the end."""
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Routes = Iterable[web.AbstractRouteDef]


class Sites:
    """`close` ends them all."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def protocol_factory(self, routes: Routes) -> Callable[[], asyncio.Protocol]:
        """The public application, as what makes a protocol for a connection."""
        runner = await self._runner(routes)
        server = runner.server
        assert server is not None
        return server

    async def serve(self, routes: Routes, listener: socket.socket) -> None:
        runner = await self._runner(routes)
        await web.SockSite(runner, listener, backlog=BACKLOG).start()

    async def close(self) -> None:
        for runner in self._runners:
            # aiohttp waits a minute for open requests. Where to say less moved between its versions;
            # asking the server itself works in all of them.
            if runner.server is not None:
                await runner.server.shutdown(SHUTDOWN_PATIENCE)
            await runner.cleanup()

    async def _runner(self, routes: Routes) -> web.AppRunner:
        runner = web.AppRunner(
            application(routes),
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
        )
        await runner.setup()
        self._runners.append(runner)
        return runner


class Monitor:
    """`/metrics`, and health with its reasons."""

    def __init__(self, core: Core, health: Health, read: Callable[[], Iterable[Sample]]) -> None:
        self._core = core
        self._health = health
        self._read = read

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self.metrics),
            web.get("/health", self.health),
            web.get("/health/ready", self.health),
            web.get("/health/detail", self.health),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        text = self._core.metrics.render(self._read())
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})

    async def health(self, request: web.Request) -> web.Response:
        status = self._health.status
        found = {"status": status, "problems": self._health.problems(), "doubts": self._health.doubts()}
        return web.json_response(found, status=503 if status == "fail" else 200)
