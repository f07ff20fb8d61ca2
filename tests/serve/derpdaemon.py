"""A relay daemon on loopback ports of the system's choice, in this process, for tests."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path
from typing import Any

import aiohttp
from nacl.public import PrivateKey

from meshbox.config.reading import load_as
from meshbox.config.relay import RELAY, RelayConfig
from meshbox.relay.roster import Push
from meshbox.serve import relayd
from meshbox.serve.relayd import RelayDaemon
from tests.fake.derp import DerpClient, Way
from tests.serve.tlsends import client_context

EPOCH = "00c0ffee"


def relay_config(place: Path, /, **flags: Any) -> RelayConfig:
    given = {
        "listen": "127.0.0.1:0",
        "stun_listen": "",
        "state_dir": str(place),
        "socket": str(place / "derp.sock"),
        **{name.replace("__", "."): value for name, value in flags.items()},
    }
    return load_as(RELAY, None, {}, given)


class RelayHome:
    """`async with RelayHome(admission__mode="all") as relay:`; give a `place` to start again on the same."""

    def __init__(self, place: Path | None = None, /, **flags: Any) -> None:
        self.home = place or Path(tempfile.mkdtemp(prefix="meshbox-derp-test-"))
        self.config = relay_config(self.home, **flags)
        self.daemon = RelayDaemon(self.config)
        self.clients: list[DerpClient] = []

    async def __aenter__(self) -> RelayHome:
        await self.daemon.open()
        tls = None if self.config.plain else client_context()
        self.way = Way(self.daemon.ports["listen"], tls=tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self.clients:
            client.close()
        relayd.FAREWELL = 0.01
        await self.daemon.close()

    async def client(self, key: PrivateKey | None = None) -> DerpClient:
        client = await DerpClient.connect(self.way, key)
        self.clients.append(client)
        return client

    async def refuses(self, key: PrivateKey | None = None) -> bool:
        try:
            await self.client(key)
        except EOFError:
            return True
        return False

    async def push(self, push: Push) -> tuple[int, dict[str, Any]]:
        """By the local socket, as control does it."""
        connector = aiohttp.UnixConnector(str(self.config.socket))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.post("http://relay/admission", data=push.encode()) as answer,
        ):
            return answer.status, await answer.json()

    async def ask(self, path: str) -> str:
        """By the local socket, as `meshbox derp status` does it."""
        connector = aiohttp.UnixConnector(str(self.config.socket))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://relay{path}") as answer,
        ):
            return await answer.text()

    async def get(self, path: str, key: str = "listen", **more: Any) -> tuple[int, dict[str, str], str]:
        scheme = "http" if self.config.plain or key != "listen" else "https"
        url = f"{scheme}://127.0.0.1:{self.daemon.ports[key]}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, ssl=False, allow_redirects=False, **more) as answer,
        ):
            return answer.status, dict(answer.headers), await answer.text()


async def closes(client: DerpClient, within: float) -> bool:
    try:
        await asyncio.wait_for(client.wait_closed(), within)
    except TimeoutError:
        return False
    return True


def listens(path: Path) -> bool:
    """The file of a socket is there a moment before anybody listens on it."""
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
