"""The three HTTP applications that aiohttp hosts: for everybody, for the administrator, for the monitor.

The public one has no listener of its own: `front` hands connections to it. The administrator's is on
the unix socket, the monitor's on metrics_listen_addr.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable

from aiohttp import web

from meshbox.serve.guard import Guard
from meshbox.serve.hosting import KEEP_ALIVE, application
from meshbox.serve.listeners import ACCEPTED_AT_ONCE, BACKLOG
from meshbox.serve.reuse import close_behind_proxies, late_upgrades

SHUTDOWN_PATIENCE = 1.0
"""Seconds that requests which are being answered get at the end."""

Routes = Iterable[web.AbstractRouteDef]


class Sites:
    """`close` ends them all."""

    def __init__(self) -> None:
        self._runners: list[web.AppRunner] = []

    async def protocol_factory(
        self, routes: Routes, guard: Guard, upgrades: Iterable[str] = ()
    ) -> Callable[[], asyncio.Protocol]:
        """The public application, as what makes a protocol for a connection. `upgrades` are the paths that
        are not its business."""
        app = application([*late_upgrades(upgrades), *routes])
        app.on_response_prepare.append(close_behind_proxies(guard))
        runner = await self._runner(app)
        server = runner.server
        assert server is not None
        return server

    async def serve(self, routes: Routes, listener: socket.socket) -> None:
        runner = await self._runner(application(routes))
        await web.SockSite(runner, listener, backlog=ACCEPTED_AT_ONCE).start()
        listener.listen(BACKLOG)

    async def close(self) -> None:
        for runner in self._runners:
            # aiohttp waits a minute for open requests. Where to say less moved between its versions;
            # asking the server itself works in all of them.
            if runner.server is not None:
                await runner.server.shutdown(SHUTDOWN_PATIENCE)
            await runner.cleanup()

    async def _runner(self, app: web.Application) -> web.AppRunner:
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=KEEP_ALIVE)
        await runner.setup()
        self._runners.append(runner)
        return runner
