"""`meshbox serve`: opens everything in order, serves until a signal, closes everything in reverse.

What cannot be opened is a MeshboxError with one sentence, raised before anything was changed or
announced; the command line prints it and ends with its exit code.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import socket
import time
from collections.abc import Callable, Coroutine
from pathlib import Path

from meshbox import __version__, log
from meshbox import config as configuration
from meshbox.config import Address, Config
from meshbox.secrets import load_or_create_key
from meshbox.serve import api, console, derphttp, pages, plain, tls
from meshbox.serve.api import SocketDoor, TokenDoor
from meshbox.serve.assembly import Ground, Plant, assemble
from meshbox.serve.auditing import Trimmer, mirror
from meshbox.serve.backup.status import Watch
from meshbox.serve.certificates import Certificate
from meshbox.serve.core import Core
from meshbox.serve.front import Doors, Front
from meshbox.serve.handover import HandOver
from meshbox.serve.health import Health, Probes
from meshbox.serve.limits import raise_descriptor_limit
from meshbox.serve.listeners import Inherited, listen_tcp, listen_unix, serve_on, stop_serving
from meshbox.serve.monitor import Monitor
from meshbox.serve.nameserver import NameServer, open_sockets
from meshbox.serve.notify import ServiceManager
from meshbox.serve.openid.desk import SignInDesk
from meshbox.serve.policydesk import PolicyDesk
from meshbox.serve.publictls import PublicTls
from meshbox.serve.recordswatch import RecordsWatch
from meshbox.serve.relayroom import RelayRoom
from meshbox.serve.relays import Relays
from meshbox.serve.reload import Reload
from meshbox.serve.scrape import Gauges, samples
from meshbox.serve.settings import zone_of
from meshbox.serve.sites import Sites
from meshbox.serve.web import PublicPages
from meshbox.store import store as sqlite
from meshbox.store.audit import Entry, Search
from meshbox.wire.noise import public_of

FAREWELL = 0.3
"""Seconds between our good-byes and the end of the process, for the kernel to send them."""

GC_THRESHOLDS = (50_000, 20, 100)
"""A full collection over ten thousand sessions stalls the loop for 50 ms. Our values have no cycles, so
it is asked for rarely; what was loaded at start is exempt altogether."""


def run(config: Config, source: Path | None = None, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT. `source` is the file a reload reads again; `on_ready()` is called once
    everything listens. Raises MeshboxError."""
    log.setup(config.log.level, config.log.format)
    for problem in config.warnings:
        log.emit("config_warning", key=problem.path, reason=problem.text)
    raise_descriptor_limit()
    asyncio.run(_serve(config, source, on_ready))


async def _serve(config: Config, source: Path | None, on_ready: Callable[[], None]) -> None:
    manager = ServiceManager(os.environ)
    app = App(config, source)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    # Until there is something to reload, the signal must not end the process, as it would by default.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    try:
        await app.open()
        loop.add_signal_handler(signal.SIGHUP, app.reload, manager)
        feeder = asyncio.create_task(_feed_watchdog(app, manager))
        manager.ready(app.status())
        on_ready()
        await stopped.wait()
        manager.stopping()
        feeder.cancel()
    finally:
        await app.close()


async def _feed_watchdog(app: App, manager: ServiceManager) -> None:
    """Only while all is well: a server that cannot write its database is better restarted."""
    while manager.watchdog_interval is not None:
        if not app.health.restart_would_help:
            manager.alive()
        await asyncio.sleep(manager.watchdog_interval)


class App:
    """One running server. `open` raises a MeshboxError; `close` may be called after it, and once."""

    def __init__(self, config: Config, source: Path | None) -> None:
        self.config = config
        self._source = source
        self._inherited = Inherited(os.environ)
        self._sites = Sites()
        self._servers: list[asyncio.Server] = []
        self._store: sqlite.SqliteStore | None = None
        self._plant: Plant | None = None
        self._relay: RelayRoom | None = None
        self._tls: PublicTls | None = None
        self._handover = hand_over_of(config)
        self._tls_counters = tls.TlsCounters()
        self._relays: Relays | None = None
        self._sign_in: SignInDesk | None = None
        self._names: NameServer | None = None
        self._started_at = time.time()
        self._backups = Watch(config.state_dir, lambda: self.config.backup, time.time, self._started_at)
        self._tasks: set[asyncio.Task[None]] = set()
        self.ports: dict[str, int] = {}
        self.farewell = FAREWELL

    @property
    def plant(self) -> Plant:
        assert self._plant is not None, "the server is not open"
        return self._plant

    async def open(self) -> None:
        config, loop = self.config, asyncio.get_running_loop()
        noise_private = load_or_create_key(config.noise.private_key_path, os.urandom)
        self._relays = relays = Relays(config)
        identity = relays.identity
        derp_map = relays.map_for(config)
        relay_key = identity.public_key if identity else None
        self._tls = public_tls = PublicTls(config, relay_key, self._count_certificate)
        self._store = store = sqlite.open(config.database.sqlite.path, self._started_at)
        store.on_audit = mirror
        self._plant = plant = assemble(config, Ground(store, noise_private, derp_map), loop)
        trimmer = Trimmer(store.trim_audit, lambda: self.config.audit.retention, time.time, loop.time)
        plant.pulse.add(trimmer.beat)
        self._records = RecordsWatch(plant.core.tailnet, lambda: self.config.dns.extra_records_path)
        self._records.check()
        plant.pulse.add(self._records.check)
        self._reload = Reload(plant.core, config, self._read_config, self._swap_files)
        self.desk = PolicyDesk(plant.core.tailnet, config.policy, plant.core.wall)
        if config.oidc.issuer:
            self._sign_in = SignInDesk(config, plant.core.tailnet, plant.core.wall, loop.time)
        if identity is not None:
            self._relay = RelayRoom(config, plant.core, identity, self._inherited, self._tls_counters)
        probes = Probes(
            check_store=store.check,
            loop_lag=lambda: plant.pulse.lag,
            certificate=public_tls.failure,
            data_dir=config.database.sqlite.path.parent,
            doubts={
                "certificate": public_tls.worry,
                "backup": self._backups.worry,
                **self._refusals(),
                **({} if self._sign_in is None else {"sign-in": self._sign_in.worry}),
            },
        )
        self.health = Health(probes, loop.time)
        await self.desk.start()
        relays.start(plant.core)
        await relays.introduced()
        await self._open_public(plant, public_tls, public_of(noise_private))
        await self._open_relay(plant.core)
        await self._open_name_server(plant)
        await self._open_administration(plant.core)
        await self._open_monitor(plant, public_tls)
        plant.pulse.start()
        public_tls.start()
        if self._sign_in is not None:
            self._spawn(self._sign_in.look())
        gc.collect()
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        log.emit("server_started", version=__version__, address=config.listen_addr, url=config.server_url)

    # Doors

    async def _open_public(self, plant: Plant, public_tls: PublicTls, noise_public: bytes) -> None:
        core, context = plant.core, self._context(plant.core)
        public = PublicPages(core, self.health, noise_public)
        # One for both: a guess is a guess, whichever way it comes.
        door = TokenDoor(public.address_of)
        gate = console.Gate(context, door) if context.has_console else None
        welcome = gate.welcome if gate is not None and gate.is_private else None
        upgrades = {"/ts2021": plant.control.upgrade}
        routes = [
            *public.routes(),
            *public_tls.challenges.routes(),
            *pages.routes(context, door, welcome),
            *([] if gate is None else console.routes(gate)),
            *api.routes(context, door),
        ]
        if self._relay is not None:
            upgrades["/derp"] = self._relay.derp.upgrade
            routes += self._relay.routes()
        fallback = await self._sites.protocol_factory(routes, core.guard, upgrades)
        doors = Doors(upgrades, fallback, core.guard, core.steady)
        await self._listen(self.config.listen_addr, "listen_addr", doors, public_tls.certificate)
        if self.config.http.listen_addr is not None:
            served = [*public_tls.challenges.routes(), *public.unencrypted_routes()]
            served += derphttp.captive_portal() if self._relay is None else self._relay.routes()
            upgrades = {"/ts2021": plant.control.upgrade}
            elsewhere = plain.routes(self.config.server_url, served)
            fallback = await self._sites.protocol_factory(elsewhere, core.guard, upgrades)
            doors = Doors(upgrades, fallback, core.guard, core.steady)
            await self._listen(self.config.http.listen_addr, "http.listen_addr", doors, None)

    async def _open_relay(self, core: Core) -> None:
        relay, address = self._relay, self.config.derp.server.listen_addr
        if relay is None or address is None:
            return
        upgrades = {"/derp": relay.derp.upgrade}
        fallback = await self._sites.protocol_factory(relay.routes(), core.guard, upgrades)
        doors = Doors(upgrades, fallback, core.guard, core.steady)
        await self._listen(address, "derp.server.listen_addr", doors, relay.identity.certificate)

    async def _open_name_server(self, plant: Plant) -> None:
        """Certificate authorities ask it about the names of devices."""
        config, core, proofs = self.config, plant.core, plant.control.proofs
        certificates = config.dns.certificates
        if not certificates.enabled:
            return
        self._names = NameServer(
            zone_of(config),
            lambda name: proofs.of(name, core.wall()),
            lambda outcome: core.metrics.count("meshbox_name_server_messages_total", outcome),
        )
        key = "dns.certificates.listen_addr"
        sockets = open_sockets(certificates.listen_addr, key, self._inherited)
        self.ports[key] = sockets[0].getsockname()[1]
        await self._names.open(sockets)

    async def _open_administration(self, core: Core) -> None:
        config = self.config
        listener = listen_unix(config.unix_socket, config.unix_socket_permission, self._inherited)
        await self._sites.serve(api.routes(self._context(core), SocketDoor()), listener)

    async def _open_monitor(self, plant: Plant, public_tls: PublicTls) -> None:
        address, relay = self.config.metrics_listen_addr, self._relay
        if address is None:
            return
        gauges = Gauges(
            sessions=lambda: len(plant.sessions),
            blocked_sessions=lambda: plant.sessions.blocked_count,
            tunnels=lambda: plant.control.tunnel_count,
            loop_lag=lambda: plant.pulse.lag,
            certificate_left=lambda: public_tls.left,
            backups=self._backups.samples,
            refusals=self._refusals(),
        )
        counted = relay.samples if relay is not None else None
        monitor = Monitor(plant.core, self.health, lambda: samples(plant.core, gauges), counted)
        await self._sites.serve(monitor.routes(), self._bind(address, "metrics_listen_addr"))

    async def _listen(
        self, address: Address, key: str, doors: Doors, certificate: Certificate | None
    ) -> None:
        def front() -> asyncio.BaseProtocol:
            return Front(doors)

        factory: Callable[[], asyncio.BaseProtocol] = front
        if certificate is not None:
            factory = tls.wrap(front, lambda: certificate.context, self._tls_counters)
            if self._handover is not None and key == "listen_addr":
                factory = self._handover.wrap(factory)
        listener = self._bind(address, key)
        self._servers.append(await serve_on(listener, factory))

    def _bind(self, address: Address, key: str) -> socket.socket:
        """`ports` then has the port, also when the configuration left the choice to the system."""
        listener = listen_tcp(address, key, self._inherited)
        self.ports[key] = listener.getsockname()[1]
        return listener

    def _context(self, core: Core) -> api.Context:
        return api.Context(
            tailnet=core.tailnet,
            mapper=core.mapper,
            ask=self.plant.control.questions.ask,
            desk=self.desk,
            server_url=self.config.server_url,
            clock=core.wall,
            started_at=self._started_at,
            store_answers=self.health.store_answers,
            observe=lambda method, route, status, seconds: core.metrics.observe(
                "headscale_api_request_duration", seconds, method, route, str(status)
            ),
            troubles=lambda: (self.health.problems(), self.health.doubts()),
            facts=self._facts,
            audit=self._search_audit,
            sign_in=self._sign_in,
            has_console=self.config.console.enabled,
        )

    # While it runs

    def status(self) -> str:
        t = self.plant.core.tailnet
        return f"{t.presence.online_count} of {len(t.nodes)} nodes online"

    def _refusals(self) -> dict[str, Callable[[], str]]:
        """What was written by people or programs and does not serve; each says why, or ""."""
        return {
            "configuration": self._reload.worry,
            "policy": lambda: self.desk.fault,
            "records": self._records.worry,
        }

    def _facts(self) -> dict[str, object]:
        tls_facts = {} if self._tls is None else self._tls.facts()
        return {"certificate": tls_facts, "backup": self._backups.facts()}

    def _search_audit(self, wanted: Search) -> list[Entry]:
        assert self._store is not None
        return self._store.search_audit(wanted)

    def _count_certificate(self, result: str) -> None:
        self.plant.core.metrics.count("meshbox_certificate_renewals_total", result)

    def reload(self, manager: ServiceManager) -> None:
        manager.reloading()
        if self._reload.run():
            self.config = self._reload.config
            if self._relays is not None:
                self._relays.adopt(self.config)
            self._records.check()
            if self._names is not None:
                self._names.zone = zone_of(self.config)
        self._spawn(self._reload_policy(manager))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        # The loop itself keeps only a weak hold of a task.
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_policy(self, manager: ServiceManager) -> None:
        await self.desk.reload(self.config.policy)
        manager.ready(self.status())

    def _read_config(self) -> Config:
        return configuration.load(self._source, os.environ)

    def _swap_files(self, config: Config) -> None:
        """Take over new certificates and relay maps; raises before anything was changed."""
        assert self._relays is not None, "the server is not open"
        derp_map = self._relays.map_for(config)
        own = self._relay.identity.certificate if self._relay is not None else None
        for certificate in (self._tls, own):
            if certificate is not None:
                certificate.reload()
        self.plant.core.tailnet.set_derp_map(derp_map)

    async def close(self) -> None:
        """Say good-bye to everybody, keep what nodes reported, close the store."""
        await stop_serving(self._servers)
        if self._names is not None:
            await self._names.close()
        if self._tls is not None:
            self._tls.close()
        if self._handover is not None:
            self._handover.close()
        if self._relays is not None:
            self._relays.close()
        for task in self._tasks:
            task.cancel()
        if self._plant is not None:
            self._plant.control.close()
            self._plant.pulse.stop()
            self._plant.router_check.stop()
            self.desk.close()
            if self._relay is not None:
                self._relay.close()
            await asyncio.sleep(self.farewell)
            self._plant.pulse.flush()
        await self._sites.close()
        if self._store is not None:
            self._store.close()
            log.emit("server_stopped")
        log.flush(math.inf)


def hand_over_of(config: Config) -> HandOver | None:
    """How connections for a relay on our port get there; None when there is no such relay."""
    server = config.derp.server
    if server.handover_socket is None or not server.host_name:
        return None
    return HandOver(server.host_name, server.handover_socket)
