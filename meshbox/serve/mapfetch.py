"""DERP maps from URLs: fetched in the background, checked, kept on disk.

A map is as good as its last proper fetch. A server that is away, answers with nonsense or with no region at
all changes nothing: clients that lost their relays would lose each other. So the start never waits for the
network, and what was fetched before the last restart is there at once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import aiohttp

from meshbox import log
from meshbox.durable import write_whole
from meshbox.errors import Invalid
from meshbox.wire.derpmap import DOCUMENT_LIMIT, DerpMap, parse_json

PATIENCE = 30.0
"""Seconds for one fetch."""

FIRST_RETRY, LAST_RETRY = 5.0, 600.0
"""Seconds after a failed fetch, doubled at each."""

LEAST_PAUSE = 60.0
"""Seconds between fetches, whatever is configured: the URL is somebody else's."""


class MapFetcher:
    """The maps of some URLs. `changed()` is called when one is new."""

    def __init__(self, urls: tuple[str, ...], state_dir: Path, changed: Callable[[], None]) -> None:
        self._urls = urls
        self._directory = state_dir
        self._changed = changed
        self._maps: dict[str, DerpMap] = {}
        self._tasks: list[asyncio.Task[None]] = []
        for url in urls:
            self._recall(url)

    @property
    def maps(self) -> tuple[DerpMap, ...]:
        """Those that are known, in the order of the URLs."""
        return tuple(self._maps[url] for url in self._urls if url in self._maps)

    def start(self, every: float | None) -> None:
        """Fetch now, and again `every` so many seconds, None for never again."""
        self._tasks = [asyncio.ensure_future(self._keep(url, every)) for url in self._urls]

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()

    async def _keep(self, url: str, every: float | None) -> None:
        retry = FIRST_RETRY
        while True:
            if await self._fetch(url):
                if every is None:
                    return
                retry, pause = FIRST_RETRY, max(every, LEAST_PAUSE)
            else:
                retry, pause = min(2 * retry, LAST_RETRY), retry
            await asyncio.sleep(pause)

    async def _fetch(self, url: str) -> bool:
        try:
            document = await _get(url)
            found = parse_json(document)
            if not found.regions:
                raise Invalid("DERP map: has no region")
        except (OSError, aiohttp.ClientError, TimeoutError, Invalid) as error:
            log.emit_limited("derp_map_not_fetched", url, url=url, reason=str(error) or repr(error))
            return False
        if found != self._maps.get(url):
            self._maps[url] = found
            self._keep_file(url, document)
            log.emit("derp_map_fetched", url=url, count=len(found.regions))
            self._changed()
        return True

    def _file(self, url: str) -> Path:
        return self._directory / f"derpmap-{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"

    def _keep_file(self, url: str, document: bytes) -> None:
        path = self._file(url)
        try:
            write_whole(path, document)
        except OSError as error:
            log.emit_limited("derp_map_not_kept", url, path=str(path), reason=error.strerror)

    def _recall(self, url: str) -> None:
        try:
            with self._file(url).open("rb") as file:
                self._maps[url] = parse_json(file.read(DOCUMENT_LIMIT + 1))
        except (OSError, Invalid):
            return  # There is none yet, or none that could be used: it is fetched in a moment.


async def _get(url: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(url, max_redirects=3) as answer,
    ):
        if answer.status != 200:
            raise Invalid(f"it answers with status {answer.status}")
        parts, size = [], 0
        async for part in answer.content.iter_any():
            size += len(part)
            if size > DOCUMENT_LIMIT:
                raise Invalid(f"DERP map: longer than {DOCUMENT_LIMIT} bytes")
            parts.append(part)
    return b"".join(parts)
