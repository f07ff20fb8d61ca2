"""`meshbox serve`: opens everything in order, serves until a signal, closes everything in reverse.

What cannot be opened is a MeshboxError with one sentence, raised before anything was changed or
announced; the command line prints it and ends with its exit code.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import socket
import time
from pathlib import Path

from meshbox import __version__, log
from meshbox import config as configuration
from meshbox.config import Address, Config
from meshbox.secrets import load_or_create_key
from meshbox.serve import pages
from meshbox.serve.api import Context, SocketDoor, TokenDoor, routes
from meshbox.serve.assembly import Ground, Plant, assemble
from meshbox.serve.core import Core
from meshbox.serve.front import Doors, Front
from meshbox.serve.health import Health, Probes
from meshbox.serve.listeners import BACKLOG, Inherited, listen_tcp, listen_unix
from meshbox.serve.notify import ServiceManager
from meshbox.serve.relaymap import relay_map
from meshbox.serve.reload import Reload
from meshbox.serve.scrape import Gauges, samples
from meshbox.serve.sites import Monitor, Sites
from meshbox.serve.web import PublicPages
from meshbox.store import store as sqlite
from meshbox.wire.noise import public_of

FAREWELL = 0.3
"""Seconds between our good-byes and the end of the process, for the kernel to send them."""

GC_THRESHOLDS = (50_000, 20, 100)
"""A full collection over ten thousand sessions stalls the loop for 50 ms. Our values have no cycles, so
it is asked for rarely; what was loaded at start is exempt altogether."""


def run(config: Config, source: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT. `source` is the file a reload reads again. Raises MeshboxError."""
    log.setup(config.log.level, config.log.format)
    for problem in config.warnings:
        log.emit("config_warning", key=problem.path, reason=problem.text)
    _raise_descriptor_limit()
    asyncio.run(_serve(config, source))


async def _serve(config: Config, source: Path | None) -> None:
    manager = ServiceManager(os.environ)
    app = App(config, source)
    stopped = asyncio.Event()
    try:
        await app.open()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        loop.add_signal_handler(signal.SIGHUP, app.reload, manager)
        feeder = asyncio.create_task(_feed_watchdog(app, manager))
        manager.ready(app.status())
        await stopped.wait()
        manager.stopping()
        feeder.cancel()
    finally:
        await app.close()


async def _feed_watchdog(app: App, manager: ServiceManager) -> None:
    """Only while all is well: a server that cannot write its database is better restarted."""
    while manager.watchdog_interval is not None:
        if app.health.is_well:
            manager.alive()
        await asyncio.sleep(manager.watchdog_interval)


class App:
    """One running server. `open` raises a MeshboxError; `close` may be called after it, and once."""

    def __init__(self, config: Config, source: Path | None) -> None:
        self.config = config
        self._source = source
        self._sites = Sites()
        self._servers: list[asyncio.Server] = []
        self._store: sqlite.SqliteStore | None = None
        self._plant: Plant | None = None
        self._started_at = time.time()
        self.ports: dict[str, int] = {}

    @property
    def plant(self) -> Plant:
        assert self._plant is not None, "the server is not open"
        return self._plant

    async def open(self) -> None:
        config, loop = self.config, asyncio.get_running_loop()
        inherited = Inherited(os.environ)
        private = load_or_create_key(config.noise.private_key_path, os.urandom)
        self._store = store = sqlite.open(config.database.sqlite.path, self._started_at)
        ground = Ground(store, private, relay_map(config, ""))
        self._plant = plant = assemble(config, ground, loop)
        self.health = Health(
            Probes(store.check, lambda: plant.pulse.lag, lambda: None, config.state_dir), loop.time
        )
        self._reload = Reload(plant.core, config, self._read_config, self._swap_files)
        await self._open_public(plant, private, inherited)
        await self._open_private(plant, inherited)
        plant.pulse.start()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        log.emit("server_started", version=__version__, address=config.listen_addr, url=config.server_url)

    async def _open_public(self, plant: Plant, private: bytes, inherited: Inherited) -> None:
        loop, core = asyncio.get_running_loop(), plant.core
        listener = self._listen(self.config.listen_addr, "listen_addr", inherited)
        public, context = PublicPages(core, self.health, public_of(private)), self._context(core)
        fallback = await self._sites.protocol_factory(
            [
                *public.routes(),
                *pages.routes(context),
                *routes(context, TokenDoor(public.address_of)),
            ]
        )
        doors = Doors({"/ts2021": plant.control.upgrade}, fallback, core.guard, loop.time)
        self._servers.append(await loop.create_server(lambda: Front(doors), sock=listener, backlog=BACKLOG))

    async def _open_private(self, plant: Plant, inherited: Inherited) -> None:
        config, core = self.config, plant.core
        listener = listen_unix(config.unix_socket, config.unix_socket_permission, inherited)
        await self._sites.serve(routes(self._context(core), SocketDoor()), listener)
        if config.metrics_listen_addr is not None:
            metrics = self._listen(config.metrics_listen_addr, "metrics_listen_addr", inherited)
            gauges = Gauges(
                sessions=lambda: len(plant.sessions),
                blocked_sessions=lambda: plant.sessions.blocked_count,
                tunnels=lambda: plant.control.tunnel_count,
                loop_lag=lambda: plant.pulse.lag,
                certificate_left=lambda: None,
                relay=tuple,
            )
            monitor = Monitor(core, self.health, lambda: samples(core, gauges))
            await self._sites.serve(monitor.routes(), metrics)

    def _listen(self, address: Address, key: str, inherited: Inherited) -> socket.socket:
        """`ports` then has the port, also when the configuration left the choice to the system."""
        listener = listen_tcp(address, key, inherited)
        self.ports[key] = listener.getsockname()[1]
        return listener

    def _context(self, core: Core) -> Context:
        return Context(
            tailnet=core.tailnet,
            server_url=self.config.server_url,
            clock=core.wall,
            started_at=self._started_at,
            store_answers=self.health.store_answers,
            observe=lambda method, route, status, seconds: core.metrics.observe(
                "headscale_api_request_duration", seconds, method, route, str(status)
            ),
        )

    def status(self) -> str:
        t = self._plant.core.tailnet if self._plant else None
        return f"{t.presence.online_count} of {len(t.nodes)} nodes online" if t else ""

    def reload(self, manager: ServiceManager) -> None:
        manager.reloading()
        if self._reload.run():
            self.config = self._reload.config
        manager.ready(self.status())

    def _read_config(self) -> Config:
        return configuration.load(self._source, os.environ)

    def _swap_files(self, config: Config) -> None:
        derp_map = relay_map(config, "")
        if self._plant is not None:
            self._plant.core.tailnet.set_derp_map(derp_map)

    async def close(self) -> None:
        """Say good-bye to everybody, keep what nodes reported, close the store."""
        for server in self._servers:
            server.close()
        if self._plant is not None:
            self._plant.control.close()
            self._plant.pulse.stop()
            await asyncio.sleep(FAREWELL)
            self._plant.pulse.flush()
        await self._sites.close()
        if self._store is not None:
            self._store.close()
            log.emit("server_stopped")


def _raise_descriptor_limit() -> None:
    """Every node is a descriptor; the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
