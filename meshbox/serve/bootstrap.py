"""The names /bootstrap-dns tells: looked up now and then, answered from memory.

A client whose resolver fails asks any relay it remembers where its control server is. A stranger's
question must not become a DNS query, so it never waits for one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Mapping

REFRESH = 600.0
"""Seconds between look-ups (derper's bootstrap_dns.go)."""


class BootstrapNames:
    """`fixed` are names whose addresses are known, `looked_up` those to ask for."""

    def __init__(self, fixed: Mapping[str, Iterable[str]], looked_up: Iterable[str]) -> None:
        self._known: dict[str, tuple[str, ...]] = {name: tuple(found) for name, found in fixed.items()}
        self._wanted = tuple(looked_up)
        self._task: asyncio.Task[None] | None = None

    def names(self) -> Mapping[str, tuple[str, ...]]:
        return self._known

    def start(self) -> None:
        if self._wanted:
            self._task = asyncio.ensure_future(self._keep())

    def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _keep(self) -> None:
        while True:
            for name in self._wanted:
                await self._look_up(name)
            await asyncio.sleep(REFRESH)

    async def _look_up(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            return  # What was known before is better than nothing: that is what this is for.
        self._known[name] = tuple(dict.fromkeys(str(address[0]) for *_, address in found))
