"""A relay behind a real front, on a loopback port, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nacl.public import PrivateKey

from meshbox.serve import tls
from meshbox.serve.derp import DerpLimits, DerpServer
from meshbox.serve.front import Doors, Front
from meshbox.serve.guard import Guard
from tests.fake.derp import DerpClient, Way
from tests.serve.tlsends import client_context, server_context


class RelayHouse:
    def __init__(
        self,
        admit: Callable[[bytes], bool] = lambda key: True,
        limits: DerpLimits | None = None,
        is_tls: bool = False,
    ) -> None:
        self.refused: list[tuple[str, str]] = []
        self.guard = Guard(lambda why, peer: self.refused.append((why, peer)))
        self.derp = DerpServer(bytes(range(1, 33)), admit, self.guard.release, limits)
        self.is_tls = is_tls
        self.clients: list[DerpClient] = []

    async def __aenter__(self) -> RelayHouse:
        loop = asyncio.get_running_loop()
        doors = Doors({"/derp": self.derp.upgrade}, None, self.guard, loop.time)
        factory: Callable[[], asyncio.BaseProtocol] = lambda: Front(doors)  # noqa: E731
        if self.is_tls:
            factory = tls.wrap(factory, server_context)
        self._server = await loop.create_server(factory, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.way = Way(port, tls=client_context() if self.is_tls else None)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for client in self.clients:
            client.close()
        self.derp.close()
        await asyncio.sleep(0.01)

    async def client(self, key: PrivateKey | None = None, fast: bool = False) -> DerpClient:
        way = Way(self.way.port, tls=self.way.tls, fast=fast)
        client = await DerpClient.connect(way, key)
        self.clients.append(client)
        return client

    async def raw(self, text: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.way.port, ssl=self.way.tls)
        writer.write(text)
        return reader, writer
