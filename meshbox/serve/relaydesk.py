"""The local socket of a relay and its monitor: status, clients, metrics.

GET /status      what it is and how it does
GET /clients     every connection with its bytes, for whoever looks for the top talkers
GET /metrics     for Prometheus; also under /debug/varz, where derper's dashboards look
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from aiohttp import web

from meshbox.relay.client import Client
from meshbox.relay.switch import Switch
from meshbox.serve.derplink import DerpLink
from meshbox.serve.metrics import Sample, render
from meshbox.serve.relaymetrics import RELAY_METRICS

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Desk:
    def __init__(
        self,
        switch: Switch,
        status: Callable[[], dict[str, object]],
        samples: Callable[[], Iterable[Sample]],
    ) -> None:
        self._switch = switch
        self._status = status
        self._samples = samples

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/status", self.status), web.get("/clients", self.clients), *self.monitor_routes()]

    def monitor_routes(self) -> list[web.RouteDef]:
        return [web.get("/metrics", self.metrics), web.get("/debug/varz", self.metrics)]

    async def status(self, request: web.Request) -> web.Response:
        return web.json_response(self._status())

    async def clients(self, request: web.Request) -> web.Response:
        now = asyncio.get_running_loop().time()
        return web.json_response([_client(client, now) for client in self._switch.every_connection()])

    async def metrics(self, request: web.Request) -> web.Response:
        text = render(RELAY_METRICS, self._samples())
        return web.Response(body=text.encode(), headers={"Content-Type": METRICS_TYPE})


def _client(client: Client, now: float) -> dict[str, object]:
    return {
        "nodeKey": str(client.key),
        "address": client.link.peer if isinstance(client.link, DerpLink) else "",
        "connectedSeconds": round(now - client.since, 1),
        "isHome": client.is_home,
        "isBlocked": client.is_blocked,
        "queuedPackets": client.outbox.packets,
        "bytesReceived": client.bytes_in,
        "bytesSent": client.bytes_out,
    }
