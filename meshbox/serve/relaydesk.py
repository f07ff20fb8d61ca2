"""The local socket of a relay and its monitor: status, clients, metrics.

GET /status      what it is and how it does
GET /clients     every connection with its bytes, for whoever looks for the top talkers
GET /metrics     for Prometheus; also under /debug/varz, where derper's dashboards look
"""

from __future__ import annotations

from aiohttp import web

from meshbox.serve.metrics import render
from meshbox.serve.relaymetrics import PROCESS_METRICS
from meshbox.serve.relayreport import Reporter, merged_samples, merged_status
from meshbox.serve.siblings import Siblings

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Desk:
    """Answers for all workers."""

    def __init__(self, reporter: Reporter, siblings: Siblings) -> None:
        self._reporter = reporter
        self._siblings = siblings

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/status", self.status), web.get("/clients", self.clients), *self.monitor_routes()]

    def monitor_routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self.metrics), web.get("/debug/varz", self.metrics)]

    async def status(self, request: web.Request) -> web.Response:
        others = await self._siblings.ask("status")
        return web.json_response(merged_status(self._reporter.status(), others))

    async def clients(self, request: web.Request) -> web.Response:
        others = await self._siblings.ask("clients")
        return web.json_response(sum(others, self._reporter.clients()))

    async def metrics(self, request: web.Request) -> web.Response:
        others = await self._siblings.ask("samples")
        text = render(PROCESS_METRICS, merged_samples(self._reporter.samples(), others))
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})
