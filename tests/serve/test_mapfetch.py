from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from meshbox.serve import mapfetch
from meshbox.serve.mapfetch import MapFetcher
from tests.serve.tlsends import until

ONE = {"Regions": {"1": {"RegionID": 1, "RegionCode": "nyc", "RegionName": "New York", "Nodes": [
    {"Name": "1a", "RegionID": 1, "HostName": "derp1.example.com", "IPv4": "192.0.2.1"}]}}}  # fmt: skip
TWO = {"Regions": {"2": {"RegionID": 2, "RegionCode": "sfo", "RegionName": "San Francisco", "Nodes": [
    {"Name": "2a", "RegionID": 2, "HostName": "derp2.example.com"}]}}}  # fmt: skip


class Publisher:
    """Somebody who publishes a map; `says` is (status, body)."""

    def __init__(self) -> None:
        self.says: tuple[int, str] = (200, json.dumps(ONE))
        self.asked = 0

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        status, body = self.says
        return web.Response(status=status, text=body)


@asynccontextmanager
async def published() -> AsyncIterator[Publisher]:
    publisher = Publisher()
    app = web.Application()
    app.add_routes([web.get("/map.json", publisher.answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    publisher.url = f"http://127.0.0.1:{runner.addresses[0][1]}/map.json"  # type: ignore[attr-defined]
    yield publisher
    await runner.cleanup()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapfetch, "LEAST_PAUSE", 0.05)
    monkeypatch.setattr(mapfetch, "FIRST_RETRY", 0.05)


def codes(fetcher: MapFetcher) -> list[str]:
    return [region.code for found in fetcher.maps for region in found.regions]


async def test_a_map_is_fetched_and_what_changes_is_told_once(tmp_path: Path) -> None:
    changes: list[None] = []
    async with published() as publisher:
        fetcher = MapFetcher((publisher.url,), tmp_path, lambda: changes.append(None))
        assert codes(fetcher) == []
        fetcher.start(0.01)
        await until(lambda: publisher.asked >= 3)
        assert (codes(fetcher), len(changes)) == (["nyc"], 1)
        publisher.says = (200, json.dumps(TWO))
        await until(lambda: codes(fetcher) == ["sfo"])
        assert len(changes) == 2
        fetcher.close()


@pytest.mark.parametrize(
    "says",
    [
        (500, ""),
        (200, "<html>captive portal</html>"),
        (200, '{"Regions":{}}'),
        (200, '{"Regions":null}'),
        (200, "x" * (mapfetch.DOCUMENT_LIMIT + 2)),
        (404, json.dumps(TWO)),
    ],
)
async def test_what_is_no_map_changes_nothing_not_even_over_a_restart(
    tmp_path: Path, says: tuple[int, str]
) -> None:
    async with published() as publisher:
        fetcher = MapFetcher((publisher.url,), tmp_path, lambda: None)
        fetcher.start(0.01)
        await until(lambda: codes(fetcher) == ["nyc"])
        publisher.says, before = says, publisher.asked
        await until(lambda: publisher.asked >= before + 2)
        assert codes(fetcher) == ["nyc"]
        fetcher.close()
        assert codes(MapFetcher((publisher.url,), tmp_path, lambda: None)) == ["nyc"]


async def test_a_url_that_is_away_at_the_start_is_tried_again(tmp_path: Path) -> None:
    async with published() as publisher:
        publisher.says = (503, "")
        fetcher = MapFetcher((publisher.url,), tmp_path, lambda: None)
        fetcher.start(None)
        await until(lambda: publisher.asked >= 2)
        publisher.says = (200, json.dumps(ONE))
        await until(lambda: codes(fetcher) == ["nyc"])
        asked = publisher.asked
        await asyncio.sleep(0.2)
        assert publisher.asked == asked, "once is enough when updates are off"
        fetcher.close()


async def test_two_maps_keep_the_order_of_their_urls(tmp_path: Path) -> None:
    async with published() as one, published() as two:
        two.says = (200, json.dumps(TWO))
        fetcher = MapFetcher((two.url, one.url), tmp_path, lambda: None)
        fetcher.start(None)
        await until(lambda: len(fetcher.maps) == 2)
        assert codes(fetcher) == ["sfo", "nyc"]
        fetcher.close()


async def test_a_damaged_copy_on_disk_is_as_good_as_none(tmp_path: Path) -> None:
    url: Any = "http://127.0.0.1:1/map.json"
    name = MapFetcher((url,), tmp_path, lambda: None)._file(url)
    name.write_text("{")
    assert MapFetcher((url,), tmp_path, lambda: None).maps == ()
