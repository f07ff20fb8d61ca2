"""What `/metrics` reads when it is asked: sizes and states that need no counting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from meshbox import __version__
from meshbox.serve.core import Core
from meshbox.serve.metrics import Sample
from meshbox.serve.selfview import process_samples
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.capver import client_version


@dataclass(frozen=True, slots=True)
class Gauges:
    """What only the assembled server knows, as functions."""

    sessions: Callable[[], int]
    blocked_sessions: Callable[[], int]
    tunnels: Callable[[], int]
    loop_lag: Callable[[], float]
    certificate_left: Callable[[], float | None]
    backups: Callable[[], Iterable[Sample]] = tuple
    refusals: Mapping[str, Callable[[], str]] = field(default_factory=dict)


def samples(core: Core, gauges: Gauges) -> Iterator[Sample]:
    t, now = core.tailnet, core.wall()
    yield Sample("meshbox_build_info", 1, (__version__,))
    yield from _nodes(t, now)
    yield from _routes(t)
    yield Sample("meshbox_journal_generation", t.changes.cursor)
    yield Sample("meshbox_soft_pending", t.unflushed_count)
    yield Sample("meshbox_sessions", gauges.sessions())
    yield Sample("meshbox_session_lag", gauges.blocked_sessions())
    yield Sample("meshbox_connections", gauges.tunnels(), ("tunnel",))
    yield Sample("meshbox_connections", len(core.guard), ("unauthenticated",))
    yield Sample("meshbox_loop_lag_seconds", round(gauges.loop_lag(), 6))
    left = gauges.certificate_left()
    if left is not None:
        yield Sample("meshbox_certificate_expiry_seconds", round(left))
    waiting = sum(pending.state == "waiting" for pending in t.pending.values())
    yield Sample("meshbox_pending", waiting, ("registration",))
    for what, refusal in gauges.refusals.items():
        yield Sample("meshbox_settings_refused", bool(refusal()), (what,))
    yield from gauges.backups()
    yield from process_samples()


def _nodes(t: Tailnet, now: float) -> Iterator[Sample]:
    online = t.presence.online_count
    expired = sum(node.is_expired(now) for node in t.nodes.values())
    yield Sample("headscale_node_count", len(t.nodes))
    yield Sample("headscale_active_node_count", online)
    yield Sample("meshbox_nodes", online, ("online",))
    yield Sample("meshbox_nodes", len(t.nodes) - online, ("offline",))
    yield Sample("meshbox_nodes", expired, ("expired",))
    yield Sample("meshbox_nodes", len(t.presence.silent), ("silent",))
    versions = Counter(client_version(t.report(node_id).capver) for node_id in t.nodes)
    for version, count in versions.items():
        yield Sample("meshbox_client_capability", count, (version,))


def _routes(t: Tailnet) -> Iterator[Sample]:
    advertised = approved = unapproved = 0
    for node_id, node in t.nodes.items():
        offered = set(t.report(node_id).advertised_routes)
        allowed = set(node.approved_routes)
        advertised += len(offered)
        approved += len(allowed)
        unapproved += len(offered - allowed)
    yield Sample("headscale_route_count", advertised, ("advertised",))
    yield Sample("headscale_route_count", approved, ("approved",))
    yield Sample("headscale_route_count", advertised - unapproved, ("serving",))
    yield Sample("meshbox_unapproved_routes", unapproved)
