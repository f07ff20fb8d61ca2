"""What a relay reports of itself, and how the reports of several workers become one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from meshbox import __version__
from meshbox.relay.client import Client
from meshbox.serve.derp import DerpServer
from meshbox.serve.derpgate import Gate
from meshbox.serve.derplink import DerpLink
from meshbox.serve.derpmesh import MeshLink
from meshbox.serve.metrics import Sample
from meshbox.serve.relaymetrics import ONE_FOR_ALL, Sources, own_samples, samples
from meshbox.serve.stun import StunCounters
from meshbox.serve.tls import TlsCounters

Json = dict[str, Any]

ADDED = (
    "clients",
    "homes",
    "packetsReceived",
    "packetsSent",
    "bytesReceived",
    "bytesSent",
    "packetsDropped",
    "refused",
)
"""Fields of the status that add up over workers; of the others worker 0 speaks."""


@dataclass(slots=True)
class Reporter:
    """`stun`, `mesh`, `pin` and `port80` are asked for when they are needed."""

    derp: DerpServer
    gate: Gate
    tls: TlsCounters
    stun: Callable[[], StunCounters]
    mesh: Callable[[], list[MeshLink]]
    pin: Callable[[], str]
    port80: Callable[[], bool]
    admission: str
    started_at: float

    def facts(self) -> Json:
        """What control is told with each answer."""
        return {
            "version": __version__,
            "key": str(self.derp.identity.public),
            "pin": self.pin(),
            "port80": self.port80(),
            "clients": self.derp.switch.connections,
        }

    def status(self) -> Json:
        switch = self.derp.switch
        counters = switch.counters
        return {
            **self.facts(),
            "startedAt": self.started_at,
            "admission": self.admission,
            "admitted": len(self.gate.roster),
            "pushedAt": self.gate.pushed_at or None,
            "homes": switch.homes,
            "remoteClients": switch.remote_count,
            "mesh": {link.peer.host: link.is_up for link in self.mesh()},
            "packetsReceived": counters.packets_received,
            "packetsSent": counters.packets_sent,
            "bytesReceived": counters.bytes_received,
            "bytesSent": counters.bytes_sent,
            "packetsDropped": counters.packets_dropped,
            "queueMilliseconds": round(counters.queued_seconds * 1000, 3),
            "refused": self.derp.counters.refused,
        }

    def clients(self) -> list[Json]:
        now = asyncio.get_running_loop().time()
        return [_client(client, now) for client in self.derp.switch.every_connection()]

    def samples(self) -> Iterable[Sample]:
        derp = self.derp
        sources = Sources(derp.switch, derp.counters, self.tls, self.stun(), len(self.gate.roster))
        return [*samples(sources), *own_samples()]

    def tell(self, what: str) -> Any:
        """To worker 0."""
        match what:
            case "status":
                return self.status()
            case "clients":
                return self.clients()
            case _:
                return [[sample.name, sample.value, sample.labels] for sample in self.samples()]


def merged_status(first: Json, others: list[Json]) -> Json:
    sums = {name: first[name] + sum(other[name] for other in others) for name in ADDED}
    return {**first, **sums, "workers": 1 + len(others)}


def merged_samples(first: Iterable[Sample], others: list[Any]) -> list[Sample]:
    """Added up, except for what is one value of the whole relay."""
    values = {(sample.name, sample.labels): sample.value for sample in first}
    for other in others:
        for name, value, labels in other:
            key = (name, tuple(labels))
            if name not in ONE_FOR_ALL:
                values[key] = values.get(key, 0) + value
    return [Sample(name, value, labels) for (name, labels), value in values.items()]


def _client(client: Client, now: float) -> Json:
    return {
        "nodeKey": str(client.key),
        "address": client.link.peer if isinstance(client.link, DerpLink) else "",
        "connectedSeconds": round(now - client.since, 1),
        "isHome": client.is_home,
        "isBlocked": client.is_blocked,
        "queuedPackets": client.outbox.packets,
        "bytesReceived": client.bytes_in,
        "bytesSent": client.bytes_out,
    }
