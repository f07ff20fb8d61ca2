"""What the monitor is shown on metrics_listen_addr."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web

from meshbox.serve.core import Core
from meshbox.serve.health import Health
from meshbox.serve.metrics import Sample, render
from meshbox.serve.relaymetrics import RELAY_METRICS

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Monitor:
    """`/metrics`, and health with its reasons. `relay()` has what a relay inside this server counted."""

    def __init__(
        self,
        core: Core,
        health: Health,
        read: Callable[[], Iterable[Sample]],
        relay: Callable[[], Iterable[Sample]] | None = None,
    ) -> None:
        self._core = core
        self._health = health
        self._read = read
        self._relay = relay

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/metrics", self.metrics),
            web.get("/health", self.health),
            web.get("/health/ready", self.health),
            web.get("/health/detail", self.health),
        ]

    async def metrics(self, request: web.Request) -> web.Response:
        text = self._core.metrics.render(self._read())
        if self._relay is not None:
            text += render(RELAY_METRICS, self._relay())
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})

    async def health(self, request: web.Request) -> web.Response:
        status = self._health.status
        found = {"status": status, "problems": self._health.problems(), "doubts": self._health.doubts()}
        return web.json_response(found, status=503 if status == "fail" else 200)
