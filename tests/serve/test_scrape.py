"""The metrics listener of a real server, read by Prometheus' own parser."""

from __future__ import annotations

from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from tests.fake.server import FakeServer, serving, write_config


async def read(server: FakeServer, path: str) -> tuple[int, str]:
    url = f"http://127.0.0.1:{server.app.ports['metrics_listen_addr']}{path}"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_dashboards_find_what_they_know(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        one = await server.joined("one")
        await server.joined("two")
        await one.lite(Hostinfo=one.hostinfo() | {"RoutableIPs": ["10.1.0.0/16"]})
        two = server.nodes[1]
        await two.tunnel.close()
        status, text = await read(server, "/metrics")
        assert status == 200
        values = {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        assert values["headscale_node_count", ()] == 2
        assert values["headscale_route_count", ("advertised",)] == 1
        assert values["headscale_route_count", ("serving",)] == 0
        assert values["meshbox_unapproved_routes", ()] == 1
        assert values["meshbox_sessions", ()] == 1
        assert values["meshbox_soft_pending", ()] == 2
        assert values["meshbox_connections", ("tunnel",)] == 1
        assert values["meshbox_registrations_total", ("new",)] == 2
        assert values["meshbox_client_capability", ("1.102",)] == 2
        assert values["process_resident_memory_bytes", ()] > 10_000_000
        assert values["process_open_fds", ()] > 3


async def test_readiness_says_what_is_wrong(tmp_path: Path) -> None:
    async with serving(write_config(tmp_path)) as server:
        status, text = await read(server, "/health/ready")
        assert status == 200 and '"pass"' in text
        server.app.health._problems = {"store": "the disk is full"}
        status, text = await read(server, "/health/detail")
        assert status == 503 and "the disk is full" in text
