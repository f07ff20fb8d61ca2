"""What a relay tells its monitor, in the official relay's names, so that its dashboards translate: the same
names whether it runs inside the server or on its own.

The names are those of derper's /debug/varz, with its prefixes. What it has no name for is `meshbox_relay_*`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from meshbox import __version__
from meshbox.relay.counters import Counters
from meshbox.relay.switch import Switch
from meshbox.serve.derp import LinkCounters
from meshbox.serve.metrics import METRICS, Metric, Sample
from meshbox.serve.selfview import process_samples
from meshbox.serve.stun import StunCounters
from meshbox.serve.tls import TlsCounters

_PLAIN: Mapping[str, tuple[str, str]] = {
    "accepts": ("counter", "Clients that were let in."),
    "bytes_received": ("counter", "Bytes of packets from clients."),
    "bytes_sent": ("counter", "Bytes of packets to clients."),
    "packets_received": ("counter", "Packets from clients."),
    "packets_sent": ("counter", "Packets to clients."),
    "packets_forwarded_in": ("counter", "Packets from other relays of the region."),
    "packets_forwarded_out": ("counter", "Packets to other relays of the region."),
    "unknown_frames": ("counter", "Frames of a type nobody knows, skipped."),
    "home_moves_in": ("counter", "Clients that made this relay their home."),
    "home_moves_out": ("counter", "Clients that took another relay for their home."),
    "got_ping": ("counter", "Pings from clients."),
    "sent_pong": ("counter", "Answers to them."),
    "peer_gone_disconnected_frames": ("counter", "Clients told that a peer left."),
    "peer_gone_not_here_frames": ("counter", "Clients told that a peer is not here."),
    "total_dup_client_conns": ("counter", "Further connections of a key that was connected."),
}
"""Fields of relay.counters.Counters, told as derp_NAME."""

_CURRENT: Mapping[str, str] = {
    "derp_current_connections": "Open connections.",
    "derp_current_home_connections": "Of these, clients that are at home here.",
    "derp_clients_local": "Keys connected here.",
    "derp_clients_remote": "Keys connected to another relay of the region only.",
    "derp_clients_total": "Keys connected to the region.",
    "derp_watchers": "Relays of the region that watch this one.",
    "derp_current_dup_client_keys": "Keys with several connections.",
    "derp_current_dup_client_conns": "Connections of those keys.",
    "derp_average_queue_duration_ms": "How long packets wait, a moving average.",
    "meshbox_relay_admitted": "Nodes that control admitted.",
}

_OURS: Mapping[str, str] = {
    "derp_websocket_accepts": "Clients that came in a WebSocket.",
    "derp_sclient_write_timeouts": "Clients dropped because they read nothing.",
    "meshbox_relay_refused_total": "Clients that are not admitted.",
    "meshbox_relay_malformed_total": "Connections that broke the protocol.",
    "meshbox_relay_handshake_timeouts_total": "Connections that said no hello in time.",
    "meshbox_relay_rate_limited_total": "Times a client over its rate was made to wait.",
    "meshbox_relay_clone_warnings_total": "Keys found to be used by two devices at once.",
}

_SHARED = {name: metric for name, metric in METRICS.items() if name.startswith(("process_", "python_"))}
_SHARED["meshbox_build_info"] = METRICS["meshbox_build_info"]

RELAY_METRICS: Mapping[str, Metric] = {
    **{f"derp_{name}": Metric(kind, help) for name, (kind, help) in _PLAIN.items()},  # type: ignore[arg-type]
    **{name: Metric("gauge", help) for name, help in _CURRENT.items()},
    **{name: Metric("counter", help) for name, help in _OURS.items()},
    "derp_packets_received_kind": Metric("counter", "Packets from clients by kind.", ("kind",)),
    "derp_packets_dropped": Metric("counter", "Packets dropped.", ("reason", "kind")),
    "derp_bytes_dropped": Metric("counter", "Bytes of dropped packets.", ("reason", "kind")),
    "derper_tls_request_version": Metric("counter", "TLS handshakes by version.", ("version",)),
    "tls_listener_accepted_connections": Metric("counter", "TLS handshakes that succeeded."),
    "tls_listener_rejected_connections": Metric("counter", "TLS handshakes that failed or took too long."),
    "stun_requests": Metric("counter", "STUN datagrams by what became of them.", ("disposition",)),
    "stun_addrfamily": Metric("counter", "STUN answers by address family.", ("family",)),
}

PROCESS_METRICS: Mapping[str, Metric] = {**RELAY_METRICS, **_SHARED}
"""Of a relay that is a process of its own."""


ONE_FOR_ALL = frozenset(
    {
        "derp_clients_remote",
        "derp_average_queue_duration_ms",
        "meshbox_relay_admitted",
        "meshbox_build_info",
        "process_start_time_seconds",
        "process_max_fds",
    }
)
"""What several workers of one relay do not add up."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the numbers are."""

    switch: Switch
    links: LinkCounters
    tls: TlsCounters
    stun: StunCounters
    admitted: int


def samples(sources: Sources) -> Iterator[Sample]:
    counters = sources.switch.counters
    for name in _PLAIN:
        yield Sample(f"derp_{name}", getattr(counters, name))
    yield from _current(sources)
    yield from _packets(counters)
    links = sources.links
    yield Sample("derp_websocket_accepts", links.websocket_accepts)
    yield Sample("derp_sclient_write_timeouts", links.sclient_write_timeouts)
    yield Sample("meshbox_relay_refused_total", links.refused)
    yield Sample("meshbox_relay_malformed_total", links.malformed)
    yield Sample("meshbox_relay_handshake_timeouts_total", links.handshake_timeouts)
    yield Sample("meshbox_relay_rate_limited_total", counters.rate_limited)
    yield Sample("meshbox_relay_clone_warnings_total", counters.clone_warnings)
    yield from _doors(sources)


def own_samples() -> Iterator[Sample]:
    """Of the process, when it is the relay's own."""
    yield Sample("meshbox_build_info", 1, (__version__,))
    yield from process_samples()


def _current(sources: Sources) -> Iterator[Sample]:
    switch = sources.switch
    remote = switch.remote_count
    yield Sample("derp_current_connections", switch.connections)
    yield Sample("derp_current_home_connections", switch.homes)
    yield Sample("derp_clients_local", len(switch.active))
    yield Sample("derp_clients_remote", remote)
    yield Sample("derp_clients_total", len(switch.active) + remote)
    yield Sample("derp_watchers", switch.watcher_count)
    yield Sample("derp_current_dup_client_keys", len(switch.twins))
    yield Sample("derp_current_dup_client_conns", sum(map(len, switch.twins.values())))
    yield Sample("derp_average_queue_duration_ms", round(switch.counters.queued_seconds * 1000, 3))
    yield Sample("meshbox_relay_admitted", sources.admitted)


def _packets(counters: Counters) -> Iterator[Sample]:
    disco = counters.packets_received_disco
    yield Sample("derp_packets_received_kind", disco, ("disco",))
    yield Sample("derp_packets_received_kind", counters.packets_received - disco, ("other",))
    for (reason, kind), drops in counters.dropped.items():
        yield Sample("derp_packets_dropped", drops.packets, (reason, kind))
        yield Sample("derp_bytes_dropped", drops.bytes, (reason, kind))


def _doors(sources: Sources) -> Iterator[Sample]:
    tls, stun = sources.tls, sources.stun
    for version, count in tls.handshakes.items():
        yield Sample("derper_tls_request_version", count, (version,))
    yield Sample("tls_listener_accepted_connections", sum(tls.handshakes.values()))
    yield Sample("tls_listener_rejected_connections", tls.failed + tls.too_slow)
    for disposition in ("success", "not_stun", "rate_limited", "read_error", "write_error"):
        yield Sample("stun_requests", getattr(stun, disposition), (disposition,))
    yield Sample("stun_addrfamily", stun.ipv4, ("ipv4",))
    yield Sample("stun_addrfamily", stun.ipv6, ("ipv6",))
