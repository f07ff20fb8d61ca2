"""The relay inside this server: its keys and certificate, its switchboard, STUN, and how it is reached.

With derp.server.listen_addr it has a TLS listener of its own; otherwise it shares the main one. A
certificate that nobody configured is made here, and pinned in the map that clients get.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from meshbox.config import Config
from meshbox.secrets import load_or_create_key
from meshbox.serve import derphttp
from meshbox.serve.certificates import Certificate
from meshbox.serve.core import Core
from meshbox.serve.derp import DerpLimits, DerpServer
from meshbox.serve.listeners import Inherited, listen_udp
from meshbox.serve.metrics import Sample
from meshbox.serve.relaymetrics import Sources, samples
from meshbox.serve.selfsigned import self_signed
from meshbox.serve.stun import StunServer
from meshbox.serve.tls import TlsCounters
from meshbox.wire.keys import NodeKey
from meshbox.wire.noise import public_of


@dataclass(frozen=True, slots=True)
class RelayIdentity:
    """What must exist before the map can be written. `certificate` is that of the relay's own listener;
    `pin` is not empty when clients must be told of it."""

    private_key: bytes
    certificate: Certificate | None = None
    pin: str = ""

    @property
    def public_key(self) -> NodeKey:
        """What certificates and clients are told."""
        return NodeKey(public_of(self.private_key))


def relay_identity(config: Config) -> RelayIdentity | None:
    """Read or make the relay's keys; None when there is none inside this server. Raises KeyFileError,
    CertificateError."""
    server = config.derp.server
    if not server.enabled or server.separate:
        return None
    private_key = load_or_create_key(server.private_key_path, os.urandom)
    if server.listen_addr is None:
        return RelayIdentity(private_key)
    if server.cert_path is not None and server.key_path is not None:
        public_key = NodeKey(public_of(private_key))
        return RelayIdentity(private_key, Certificate(server.cert_path, server.key_path, public_key))
    # No metacert here: clients of before May 2025 refuse a pinned certificate that comes with one.
    made = self_signed(config.state_dir, relay_hosts(config), time.time())
    return RelayIdentity(private_key, made, made.pin)


def relay_hosts(config: Config) -> Iterator[str]:
    """The names and addresses under which clients may dial the relay."""
    host = config.derp.server.host_name or urlsplit(config.server_url).hostname
    if host:
        yield host
    for address in (config.derp.server.ipv4, config.derp.server.ipv6):
        if address is not None:
            yield str(address)


class RelayRoom:
    """The running relay. `close` ends its connections."""

    def __init__(
        self,
        config: Config,
        core: Core,
        identity: RelayIdentity,
        inherited: Inherited,
        tls: TlsCounters | None = None,
    ) -> None:
        self.identity = identity
        self._tls = tls or TlsCounters()
        self._tailnet, self._wall = core.tailnet, core.wall
        self._hosts = tuple(relay_hosts(config))
        tailnet, everybody = core.tailnet, not config.derp.server.verify_clients
        self.derp = DerpServer(
            identity.private_key,
            admit=lambda key: everybody or tailnet.admits(key, core.wall()),
            proved=core.guard.release,
            limits=DerpLimits(float(config.derp.server.bytes_per_second)),
        )
        self.stun = StunServer(
            [listen_udp(config.derp.server.stun_listen_addr, "derp.server.stun_listen_addr", inherited)]
        )
        if not everybody:
            tailnet.admission.listen(self._admission_changed)

    def _admission_changed(self, node_key: NodeKey, is_admitted: bool) -> None:
        if not is_admitted:
            self.derp.cut(node_key)

    def routes(self) -> list[web.RouteDef]:
        """What a relay answers over plain HTTP. Names are told from the configuration: a stranger's
        question must not become a DNS query."""
        host, *addresses = self._hosts or ("",)
        names = {host: addresses} if addresses else {}
        return derphttp.routes(lambda: names)

    def samples(self) -> Iterable[Sample]:
        admitted = sum(node.is_let_in(self._wall()) for node in self._tailnet.nodes.values())
        return samples(Sources(self.derp.switch, self.derp.counters, self._tls, self.stun.counters, admitted))

    def close(self) -> None:
        self.derp.close()
        self.stun.close()
