"""The appliance on booted machines. Slow, wants root; what is missing on the machine is installed.

The tests of a module are a story: they run in order on one bed, and a failed one fails what builds on it.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from tests.appliance.bed import Bed
from tests.appliance.figures import MEASURED

HERE = Path(__file__).parent
_OPEN: list[Bed] = []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "appliance: packages on booted machines (needs root)")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker("appliance")
        if os.geteuid() != 0:
            item.add_marker(pytest.mark.skip(reason="machines can be booted by root only"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """Put the journals of the machines beside a failure."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed and HERE in item.path.parents:
        for bed in _OPEN:
            report.sections.append(("machines", bed.report()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if MEASURED:
        terminalreporter.section("measured on booted machines")
        for line in MEASURED:
            terminalreporter.line(line)


def opened(bed: Bed) -> Iterator[Bed]:
    """Register a bed for failure reports, and close it in the end."""
    _OPEN.append(bed)
    try:
        yield bed
    finally:
        _OPEN.remove(bed)
        bed.close()


@pytest.fixture(scope="module")
def private_bed() -> Iterator[Bed]:
    """On private addresses: plain http is enough there."""
    yield from opened(Bed(public=False))


@pytest.fixture(scope="module")
def public_bed() -> Iterator[Bed]:
    """On addresses that clients take for public."""
    yield from opened(Bed(public=True))
