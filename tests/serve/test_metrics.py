"""Metrics: the closed list, bounded labels, and a text that Prometheus itself can read."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from meshbox.serve.metrics import METRICS, SERIES_LIMIT, Metrics, Sample


def parsed(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_what_is_counted_can_be_read() -> None:
    metrics = Metrics()
    metrics.count("meshbox_refused_total", "head_timeout")
    metrics.count("meshbox_refused_total", "head_timeout", by=2)
    metrics.observe("headscale_api_request_duration", 0.02, "GET", "/api/v1/node", "200")
    metrics.observe("headscale_api_request_duration", 99.0, "GET", "/api/v1/node", "200")
    values = parsed(metrics.render([Sample("headscale_node_count", 7)]))
    assert values["meshbox_refused_total", (("why", "head_timeout"),)] == 3
    assert values["headscale_node_count", ()] == 7
    labels = (("code", "200"), ("method", "GET"), ("route", "/api/v1/node"))
    assert values["headscale_api_request_duration_count", labels] == 2
    assert values["headscale_api_request_duration_sum", labels] == pytest.approx(99.02)
    by_bound = {
        dict(key[1])["le"]: value for key, value in values.items() if key[0].endswith("duration_bucket")
    }
    assert (by_bound["0.01"], by_bound["0.025"], by_bound["10"], by_bound["+Inf"]) == (0, 1, 1, 2)


def test_every_declared_metric_has_help_and_type() -> None:
    text = Metrics().render(())
    for name, metric in METRICS.items():
        assert f"# HELP {name} " in text and f"# TYPE {name} {metric.kind}\n" in text


def test_a_name_or_label_that_is_not_declared_is_a_bug() -> None:
    metrics = Metrics()
    with pytest.raises(KeyError):
        metrics.count("meshbox_surprise_total")
    with pytest.raises(ValueError, match="labels"):
        metrics.count("meshbox_refused_total")


def test_label_values_cannot_fill_memory_nor_break_the_text() -> None:
    metrics = Metrics()
    for number in range(SERIES_LIMIT + 50):
        metrics.count("meshbox_refused_total", f'why"\\\n{number}')
    values = parsed(metrics.render(()))
    assert values["meshbox_refused_total", (("why", "other"),)] == 50
    assert values["meshbox_refused_total", (("why", 'why"\\\n7'),)] == 1
