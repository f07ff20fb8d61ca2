"""`meshbox derp`: a relay as a process of its own, without database, control key or tailnet.

Sockets come from the service manager by their names (FileDescriptorName=): `derp` for clients, `http` for
captive portal checks, `stun`, `derp-control` for the local socket, `derp-handover` for connections that
another process accepted. What is not inherited is opened as configured; with sockets for everything, the
process needs no network of its own.

What cannot be opened is a MeshboxError with one sentence, raised before anything is announced.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import signal
import socket
import time
from collections.abc import Callable

from meshbox import __version__, log
from meshbox.config.network import Address
from meshbox.config.relay import RelayConfig, is_loopback
from meshbox.config.rules import HTTP_PORT
from meshbox.secrets import hash_secret, load_or_create_key, read_token
from meshbox.serve import derphttp, tls
from meshbox.serve.bootstrap import BootstrapNames
from meshbox.serve.certificates import Certificate
from meshbox.serve.derp import DerpLimits, DerpServer
from meshbox.serve.derpfeed import Feed
from meshbox.serve.derpgate import Gate
from meshbox.serve.derpmesh import MeshLink, MeshSelf, parse_peer, read_mesh_key
from meshbox.serve.derpverify import Verifier
from meshbox.serve.front import Doors, Front
from meshbox.serve.guard import Caps, Guard
from meshbox.serve.handover import TakeOver
from meshbox.serve.listeners import (
    ACCEPTED_AT_ONCE,
    Inherited,
    listen_tcp,
    listen_udp,
    listen_unix,
    serve_on,
    stop_serving,
    tune_tcp,
)
from meshbox.serve.notify import ServiceManager
from meshbox.serve.relaydesk import Desk
from meshbox.serve.relayreport import Reporter
from meshbox.serve.selfsigned import self_signed
from meshbox.serve.siblings import Siblings
from meshbox.serve.sites import Sites
from meshbox.serve.stun import StunCounters, StunServer
from meshbox.serve.tls import TlsCounters
from meshbox.serve.workers import Crew
from meshbox.wire.keys import NodeKey
from meshbox.wire.noise import public_of

FAREWELL = 0.05
"""Seconds between the end of the connections and the end of the process, for the kernel to send the rest."""

BEAT = 1.0

LOST_GRACE = 0.3
"""Seconds between the end of another worker and ours."""


class RelayDaemon:
    """One running relay. `open` raises a MeshboxError; `close` may be called after it, and once. `ports` has
    the port of each listener by its configuration key, also when the system chose it. It wants to end when
    `stopped` is set, by a signal or because another worker ended."""

    def __init__(
        self, config: RelayConfig, inherited: Inherited | None = None, crew: Crew | None = None
    ) -> None:
        self.config = config
        self.ports: dict[str, int] = {}
        self.stopped = asyncio.Event()
        self.has_lost_worker = False
        self._crew = crew or Crew()
        self._inherited = inherited or Inherited(os.environ)
        self._sites = Sites()
        self._servers: list[asyncio.Server] = []
        self._beat: asyncio.TimerHandle | None = None
        self._certificate: Certificate | None = None
        self._verifier: Verifier | None = None
        self._stun: StunServer | None = None
        self._takeover: TakeOver | None = None
        self._mesh: list[MeshLink] = []
        self._tls_counters = TlsCounters()
        self._names = BootstrapNames(_own_names(config), config.bootstrap_names)
        self.guard = Guard(
            _refused,
            Caps(
                per_address=config.limits.connections_per_address,
                per_address_hard=max(config.limits.connections_per_address, Caps().per_address_hard),
                total=config.limits.connections_unauthenticated,
                head_deadline=config.limits.handshake_timeout,
            ),
            config.trusted_proxies,
        )

    async def open(self) -> None:
        config = self.config
        private_key = load_or_create_key(config.private_key_path, os.urandom)
        self._certificate = certificate_of(config, NodeKey(public_of(private_key)))
        self.gate = Gate(config.state_dir, time.time, keeps=self._crew.is_first)
        mesh_key = read_mesh_key(config.mesh.key_path) if config.mesh.key_path is not None else None
        peers = [parse_peer(text) for text in config.mesh.peers]
        self.derp = self._make_relay(private_key, mesh_key)
        self.gate.guard(self.derp)
        self._reporter = self._make_reporter()
        self._siblings = Siblings(self.derp, self.gate, self._reporter.tell, self._lost_worker)
        await self._siblings.open(self._crew.ways)
        if self._crew.is_first:
            await self._open_http()
            self._open_stun()
            await self._open_desk()
        await self._open_clients()
        if mesh_key is not None:
            me = MeshSelf(private_key, self.derp.identity.public, mesh_key)
            self._mesh = [MeshLink(self.derp, me, peer) for peer in peers]
        self._names.start()
        self._on_beat()
        gc.collect()
        gc.freeze()
        if self._crew.is_first:
            self._announce()

    def _make_relay(self, private_key: bytes, mesh_key: bytes | None) -> DerpServer:
        config, admission = self.config, self.config.admission
        if admission.mode == "url":
            self._verifier = Verifier(admission.verify_url, admission.verify_fail_open)
        everybody = admission.mode == "all"
        return DerpServer(
            private_key,
            admit=(lambda key: True) if everybody else self.gate.admits,
            proved=self.guard.release,
            limits=DerpLimits(float(config.limits.bytes_per_second)),
            verify=self._verifier.allows if self._verifier else None,
            mesh_key=mesh_key,
        )

    def _make_reporter(self) -> Reporter:
        return Reporter(
            self.derp,
            self.gate,
            self._tls_counters,
            stun=lambda: self._stun.counters if self._stun is not None else StunCounters(),
            mesh=lambda: self._mesh,
            pin=lambda: self.pin,
            port80=lambda: self.ports.get("http_listen") == HTTP_PORT,
            admission=self.config.admission.mode,
            started_at=time.time(),
        )

    # Doors

    async def _open_clients(self) -> None:
        config, loop = self.config, asyncio.get_running_loop()
        upgrades = {"/derp": self.derp.upgrade}
        pages = [*self._pages(), *self._remote_feed()]
        fallback = await self._sites.protocol_factory(pages, self.guard, upgrades)
        doors = Doors(upgrades, fallback, self.guard, loop.time)
        certificate = self._certificate

        def front() -> asyncio.BaseProtocol:
            return Front(doors)

        factory: Callable[[], asyncio.BaseProtocol] = front
        if certificate is not None:
            factory = tls.wrap(front, lambda: certificate.context, self._tls_counters)
            if self._crew.is_first:
                self._open_handover(factory)
        # Whoever gets its connections handed over needs no port, and the usual one is taken.
        needs_port = self._takeover is None or config.origins.get("listen") != "default"
        for listener in self._listeners("derp", config.listen if needs_port else None, "listen"):
            # One connection a turn: else the worker that wakes first takes all that came meanwhile.
            turn = ACCEPTED_AT_ONCE if self.config.workers == 1 else 1
            self._servers.append(await serve_on(listener, factory, turn))

    def _open_handover(self, factory: Callable[[], asyncio.BaseProtocol]) -> None:
        path, found = self.config.handover_socket, self._inherited.take_named("derp-handover")
        if not found and path is not None:
            mode, kind = self.config.socket_permission, socket.SOCK_SEQPACKET
            found = [listen_unix(path, mode, self._inherited, "handover_socket", kind)]
        if found:
            self._takeover = TakeOver(found[0], factory)

    async def _open_http(self) -> None:
        loop = asyncio.get_running_loop()
        listeners = self._listeners("http", self.config.http_listen, "http_listen")
        if not listeners:
            return
        fallback = await self._sites.protocol_factory(derphttp.plain_routes(), self.guard)
        doors = Doors({}, fallback, self.guard, loop.time)
        for listener in listeners:
            self._servers.append(await serve_on(listener, lambda: Front(doors)))

    def _open_stun(self) -> None:
        sockets = self._inherited.take_named("stun")
        address = self.config.stun_listen
        if not sockets and address is not None:
            sockets = [listen_udp(address, "stun_listen", self._inherited)]
        if sockets:
            self.ports["stun_listen"] = sockets[0].getsockname()[1]
            self._stun = StunServer(sockets)

    async def _open_desk(self) -> None:
        config = self.config
        desk = Desk(self._reporter, self._siblings)
        local = [*Feed(self.gate, self._reporter.facts, self._siblings.push).routes(), *desk.routes()]
        for listener in self._inherited.take_named("derp-control") or [
            listen_unix(config.socket, config.socket_permission, self._inherited, "socket")
        ]:
            await self._sites.serve(local, listener)
        for listener in self._listeners("metrics", config.metrics_listen, "metrics_listen"):
            await self._sites.serve(desk.monitor_routes(), listener)

    def _listeners(self, name: str, address: Address | None, key: str) -> list[socket.socket]:
        found = self._inherited.take_named(name)
        for listener in found:
            tune_tcp(listener)
        if not found and address is not None:
            found = [listen_tcp(address, key, self._inherited)]
        if found:
            self.ports[key] = found[0].getsockname()[1]
        return found

    def _pages(self) -> list[derphttp.Route]:
        return [*derphttp.routes(self._names.names), *derphttp.own_pages(self.config.home)]

    def _remote_feed(self) -> list[derphttp.Route]:
        path = self.config.admission.token_path
        if path is None or not self._crew.is_first:
            return []
        token = hash_secret(read_token(path).reveal())
        return Feed(self.gate, self._reporter.facts, self._siblings.push, token).routes()

    # While it runs

    @property
    def pin(self) -> str:
        """What a DERP map must pin (CertName) when the certificate was made here, else ""."""
        made = self._certificate is not None and self.config.cert_path is None
        return self._certificate.pin if made and self._certificate else ""

    def status(self) -> str:
        return f"{self.derp.switch.connections} clients connected, {self.derp.switch.homes} at home here"

    def _lost_worker(self) -> None:
        """None of us is of use alone: the service manager starts all anew. When it stops us all at once, the
        others may be faster."""
        asyncio.get_running_loop().call_later(LOST_GRACE, self._end_for_lost_worker)

    def _end_for_lost_worker(self) -> None:
        if self.stopped.is_set():
            return
        if self._crew.is_first:
            log.emit("relay_worker_lost")
        self.has_lost_worker = True
        self.stopped.set()

    def _announce(self) -> None:
        config = self.config
        port = self.ports.get("listen")
        address = (
            f"{config.listen.host or '*'}:{port}"
            if port
            else str(config.handover_socket or "what control hands over")
        )
        log.emit("relay_started", version=__version__, address=address, reason=_admission_in_words(config))
        if config.admission.mode == "all":
            log.emit("relay_is_open", address=address)
        if self.pin:
            log.emit("relay_pinned", key=self.pin)
        if config.admission.mode == "control" and not self.gate.roster.is_known:
            log.emit("relay_waits_for_control", path=str(config.socket))

    def _on_beat(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(BEAT, self._on_beat)
        self.guard.sweep(loop.time())
        self.gate.beat()
        log.flush()

    def reload(self, manager: ServiceManager) -> None:
        """Read the certificate's files again; the rest of the configuration wants a restart, which costs the
        clients a second."""
        manager.reloading()
        self._crew.signal(signal.SIGHUP)
        try:
            if self._certificate is not None:
                self._certificate.reload()
            if self._crew.is_first:
                log.emit("relay_reloaded")
        except Exception as error:
            log.emit("reload_refused", reason=str(error))
        manager.ready(self.status())

    async def close(self) -> None:
        """Stop listening, finish what was asked over HTTP, and only then end the connections: from there on
        they are without a relay until the next process listens."""
        await stop_serving(self._servers)
        if self._takeover is not None:
            self._takeover.close()
        self._names.close()
        await self._sites.close()
        if self._verifier is not None:
            await self._verifier.close()
        for link in self._mesh:
            link.close()
        if self._beat is not None:
            self._beat.cancel()
            self.gate.beat()
            self.derp.close()
            self._siblings.close()
            if self._stun is not None:
                self._stun.close()
            await asyncio.sleep(FAREWELL)
            if self._crew.is_first:
                log.emit("relay_stopped")
        log.flush(math.inf)


def certificate_of(config: RelayConfig, relay_key: NodeKey) -> Certificate | None:
    """The relay's certificate, made if none is configured; None when it speaks plain HTTP. Raises
    CertificateError."""
    if config.plain:
        return None
    if config.cert_path is not None and config.key_path is not None:
        return Certificate(config.cert_path, config.key_path, relay_key)
    names = config.hostnames or (config.listen.host or socket.getfqdn(),)
    # No metacert here: clients of before May 2025 refuse a pinned certificate that comes with one.
    return self_signed(config.state_dir, names, time.time())


def _own_names(config: RelayConfig) -> dict[str, list[str]]:
    name, *addresses = config.hostnames or ("",)
    return {name: addresses} if addresses else {}


def _refused(why: str, address: str) -> None:
    log.emit_limited("connection_refused", address, peer_ip=address, why=why)


def _admission_in_words(config: RelayConfig) -> str:
    match config.admission.mode:
        case "all":
            return "everybody" + ("" if is_loopback(config.listen) else " in the world")
        case "url":
            return f"whom {config.admission.verify_url} admits"
        case _:
            return "the nodes that control pushes"
