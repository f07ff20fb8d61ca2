"""A whole server in the test's own event loop: real sockets on loopback, a real database in a directory."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import yaml

from meshbox import config as configuration
from meshbox.config import Config
from meshbox.serve.app import App
from meshbox.serve.notify import ServiceManager
from meshbox.tailnet import authkeys, users
from meshbox.tailnet.authkeys import AuthKeyWish
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import UserWish
from tests.fake.client import fetch_key
from tests.fake.node import FakeNode


def write_config(directory: Path, **more: Any) -> Path:
    """A configuration file for a server on free ports; `more` replaces whole top-level keys."""
    values: dict[str, Any] = {
        "server_url": "http://127.0.0.1:1",
        "listen_addr": "127.0.0.1:0",
        "metrics_listen_addr": "127.0.0.1:0",
        "unix_socket": str(directory / "api.sock"),
        "state_dir": str(directory),
        "dns": {"base_domain": "mesh.test"},
        "derp": {"server": {"enabled": False}},
        "log": {"level": "warning"},
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(values | more))
    return path


class FakeServer:
    def __init__(self, app: App) -> None:
        self.app = app
        self.nodes: list[FakeNode] = []
        self.door: tuple[str, int, bytes] = ("127.0.0.1", 0, b"")
        self.manager = ServiceManager({})
        self.is_open = True

    @property
    def tailnet(self) -> Tailnet:
        return self.app.plant.core.tailnet

    @property
    def metrics(self) -> Any:
        return self.app.plant.core.metrics

    def auth_key(self, user: str = "ana", **wish: Any) -> str:
        """A pre-auth key of the user, who is made if need be; reusable unless said otherwise."""
        t, now = self.tailnet, time.time()
        user_id = t.by_user_name.get(user) or users.create(t, UserWish(user), "test", now).id
        _, secret = authkeys.create(
            t, AuthKeyWish(**({"user_id": user_id, "reusable": True} | wish)), "test", now
        )
        return secret

    def node(self, hostname: str, **options: Any) -> FakeNode:
        node = FakeNode(self.door, hostname, **options)
        self.nodes.append(node)
        return node

    def adopt(self, old: FakeNode) -> FakeNode:
        """The same device at this server: same keys, same state."""
        node = self.node(old.hostname)
        node.machine, node.node_key, node.disco_key = old.machine, old.node_key, old.disco_key
        return node

    async def joined(self, hostname: str, key: str = "", **options: Any) -> FakeNode:
        """A node that registered with a key and listens to its map."""
        node = self.node(hostname, **options)
        answer = await node.register(key or self.auth_key())
        assert answer.status == 200 and answer.json["MachineAuthorized"], answer
        await node.listen()
        return node


def configured(path: Path) -> Config:
    return configuration.load(path, {})


@asynccontextmanager
async def serving(path: Path, tls: bool = False) -> AsyncIterator[FakeServer]:
    """With `tls` the test brings its own clients; fake nodes speak plain HTTP."""
    app = App(configured(path), path)
    app.farewell = 0.02
    server = FakeServer(app)
    try:
        await app.open()
        port = app.ports["listen_addr"]
        key = b"" if tls else await fetch_key("127.0.0.1", port)
        server.door = ("127.0.0.1", port, key)
        yield server
    finally:
        # The server first, as in life: clients see its good-bye.
        if server.is_open:
            await app.close()
        for node in server.nodes:
            await node.close()
