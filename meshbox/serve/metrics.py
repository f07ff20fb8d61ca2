"""What can be counted, and the text form that Prometheus reads.

The list is closed: a name that is not declared here cannot be counted, and every label has few
values (a reason, a kind, a version), never a node, a user or an address. Counting is one dictionary
entry; the text is made when somebody asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds, the customary ones, so that dashboards fit."""

SERIES_LIMIT = 512
"""Label combinations per metric; what comes above is added under `other`. A label that a client can
choose (its version) must not fill memory."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`may_be_absent`: without a sample there is no line, instead of a zero that would be untrue."""

    kind: Kind
    help: str
    labels: Labels = ()
    may_be_absent: bool = False


METRICS: Mapping[str, Metric] = {
    "headscale_api_request_duration": Metric(
        "histogram", "Seconds an API request took.", ("method", "route", "code")
    ),
    "headscale_active_node_count": Metric("gauge", "Nodes with an open map stream."),
    "headscale_node_count": Metric("gauge", "Nodes known."),
    "headscale_route_count": Metric("gauge", "Subnet routes.", ("state",)),
    "meshbox_backup_age_seconds": Metric("gauge", "Age of the newest backup; absent without any.", (), True),
    "meshbox_backup_bytes": Metric("gauge", "Size of the newest backup.", (), True),
    "meshbox_settings_refused": Metric(
        "gauge", "1 while the configuration, policy or records last written are not what serves.", ("what",)
    ),
    "meshbox_backup_failed": Metric("gauge", "1 when the last backup, or its copy, failed.", ("what",)),
    "meshbox_backup_last_success_timestamp_seconds": Metric(
        "gauge", "When the newest backup was made; absent without any.", (), True
    ),
    "meshbox_backup_seconds": Metric("gauge", "How long the newest backup took.", (), True),
    "meshbox_build_info": Metric("gauge", "The running version.", ("version",)),
    "meshbox_certificate_expiry_seconds": Metric(
        "gauge", "Seconds until the TLS certificate expires; 0 without a trusted one."
    ),
    "meshbox_certificate_renewals_total": Metric("counter", "Certificates asked for.", ("result",)),
    "meshbox_client_capability": Metric("gauge", "Nodes by client release.", ("version",)),
    "meshbox_connections": Metric("gauge", "Open connections.", ("kind",)),
    "meshbox_handshakes_total": Metric("counter", "Noise handshakes.", ("result",)),
    "meshbox_journal_generation": Metric("counter", "Changes appended to the log since start."),
    "meshbox_loop_lag_seconds": Metric("gauge", "How late the event loop was at its last second."),
    "meshbox_map_responses_total": Metric("counter", "Map messages sent.", ("kind",)),
    "meshbox_map_seconds": Metric("histogram", "From a change to the last session told."),
    "meshbox_name_server_messages_total": Metric(
        "counter", "DNS messages to the name server of devices' certificates.", ("outcome",)
    ),
    "meshbox_nodes": Metric("gauge", "Nodes by state.", ("state",)),
    "meshbox_pending": Metric("gauge", "What waits for an administrator.", ("what",)),
    "meshbox_refused_total": Metric("counter", "Connections and requests refused or cut.", ("why",)),
    "meshbox_registrations_total": Metric("counter", "Registration requests.", ("result",)),
    "meshbox_session_lag": Metric("gauge", "Map sessions with bytes their client does not take."),
    "meshbox_sessions": Metric("gauge", "Open map sessions."),
    "meshbox_soft_pending": Metric("gauge", "Reports of nodes not yet written to the database."),
    "meshbox_unapproved_routes": Metric("gauge", "Routes that nodes offer and nobody approved."),
    "process_cpu_seconds_total": Metric("counter", "Processor time used."),
    "process_open_fds": Metric("gauge", "Open file descriptors."),
    "process_max_fds": Metric("gauge", "File descriptors allowed."),
    "process_resident_memory_bytes": Metric("gauge", "Resident memory."),
    "process_start_time_seconds": Metric("gauge", "When the process started."),
    "python_gc_collections_total": Metric("counter", "Garbage collections.", ("generation",)),
}


@dataclass(frozen=True, slots=True)
class Sample:
    """A value read when the text is made."""

    name: str
    value: float
    labels: Labels = ()


class Metrics:
    """Counters and histograms. `count` and `observe` take the labels in the declared order."""

    def __init__(self) -> None:
        self._counts: dict[str, dict[Labels, float]] = {}
        self._histograms: dict[str, dict[Labels, list[float]]] = {}

    def count(self, name: str, *labels: str, by: float = 1) -> None:
        series = self._counts.setdefault(name, {})
        key = _key(name, labels, series)
        series[key] = series.get(key, 0) + by

    def observe(self, name: str, seconds: float, *labels: str) -> None:
        series = self._histograms.setdefault(name, {})
        key = _key(name, labels, series)
        # One cell per bucket, one above the last bound, then the sum.
        cells = series.setdefault(key, [0.0] * (len(BUCKETS) + 2))
        cells[bisect_left(BUCKETS, seconds)] += 1
        cells[-1] += seconds

    def value(self, name: str, *labels: str) -> float:
        return self._counts.get(name, {}).get(labels, 0)

    def samples(self) -> Iterable[Sample]:
        for name, series in self._counts.items():
            for labels, value in series.items():
                yield Sample(name, value, labels)

    def render(self, read: Iterable[Sample]) -> str:
        """The text: what was counted, and the samples read just now."""
        return render(METRICS, (*self.samples(), *read), self._histograms)


def render(
    metrics: Mapping[str, Metric],
    samples: Iterable[Sample],
    histograms: Mapping[str, Mapping[Labels, list[float]]] | None = None,
) -> str:
    """The text form of these metrics. One without labels and without a sample is 0."""
    by_name: dict[str, list[Sample]] = {}
    for sample in samples:
        by_name.setdefault(sample.name, []).append(sample)
    lines: list[str] = []
    for name, metric in metrics.items():
        lines.append(f"# HELP {name} {metric.help}")
        lines.append(f"# TYPE {name} {metric.kind}")
        if metric.kind == "histogram":
            lines.extend(_histogram(name, metric, (histograms or {}).get(name, {})))
            continue
        found = by_name.get(name, [])
        if not found and not metric.labels and not metric.may_be_absent:
            found = [Sample(name, 0)]
        lines.extend(
            f"{name}{_labels(metric.labels, sample.labels)} {_number(sample.value)}" for sample in found
        )
    return "\n".join(lines) + "\n"


def _key(name: str, labels: Labels, known: Mapping[Labels, object]) -> Labels:
    if len(labels) != len(METRICS[name].labels):
        raise ValueError(f"{name} has the labels {METRICS[name].labels}, not {labels}")
    if labels in known or len(known) < SERIES_LIMIT:
        return labels
    return ("other",) * len(labels)


def _histogram(name: str, metric: Metric, series: Mapping[Labels, list[float]]) -> Iterable[str]:
    for labels, cells in series.items():
        total = 0.0
        for bound, cell in zip((*map(_number, BUCKETS), "+Inf"), cells[:-1], strict=True):
            total += cell
            yield f"{name}_bucket{_labels((*metric.labels, 'le'), (*labels, bound))} {_number(total)}"
        yield f"{name}_sum{_labels(metric.labels, labels)} {_number(cells[-1])}"
        yield f"{name}_count{_labels(metric.labels, labels)} {_number(total)}"


def _labels(names: Labels, values: Labels) -> str:
    if not names:
        return ""
    pairs = (f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return "{" + ",".join(pairs) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)
