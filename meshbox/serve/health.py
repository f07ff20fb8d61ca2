"""Is it well? The same checks feed the public `/health`, the readiness page and the watchdog.

The public answer is one word; what is wrong is said only on the metrics listener and in the log.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from meshbox import log
from meshbox.errors import MeshboxError

LATE = 5.0
"""Seconds of lateness of the event loop that clients notice."""

DISK_SHARE = 0.02
"""Share of the disk that must be free; below it the next write may fail."""

FRESH = 2.0
"""Seconds a verdict is used again: `/health` is public, and a check writes to the disk."""


@dataclass(frozen=True, slots=True)
class Probes:
    """`check_store` raises when the database cannot be written; `loop_lag` is in seconds;
    `certificate_left` in seconds, None without TLS of our own; `data_dir` is where the database lies."""

    check_store: Callable[[], None]
    loop_lag: Callable[[], float]
    certificate_left: Callable[[], float | None]
    data_dir: Path


class Health:
    def __init__(self, probes: Probes, steady: Callable[[], float]) -> None:
        self._probes = probes
        self._steady = steady
        self._checked_at = -FRESH
        self._problems: dict[str, str] = {}

    @property
    def is_well(self) -> bool:
        return not self.problems()

    def problems(self) -> dict[str, str]:
        """What is wrong now, by what it concerns; empty when all is well."""
        now = self._steady()
        if now - self._checked_at < FRESH:
            return self._problems
        before, self._problems = self._problems, dict(self._find())
        self._checked_at = now
        for name, text in self._problems.items():
            if name not in before:
                log.emit("health_lost", what=name, reason=text)
        for name in before:
            if name not in self._problems:
                log.emit("health_regained", what=name)
        return self._problems

    def store_answers(self) -> bool:
        return "store" not in self.problems()

    def _find(self) -> list[tuple[str, str]]:
        found = [
            ("store", self._store()),
            ("loop", self._loop()),
            ("certificate", self._certificate()),
            ("disk", self._disk()),
        ]
        return [(name, text) for name, text in found if text]

    def _store(self) -> str:
        try:
            self._probes.check_store()
        except MeshboxError as error:
            return str(error)
        return ""

    def _loop(self) -> str:
        lag = self._probes.loop_lag()
        return f"the event loop is {lag:.1f} s late" if lag > LATE else ""

    def _certificate(self) -> str:
        left = self._probes.certificate_left()
        return "the TLS certificate has expired" if left is not None and left <= 0 else ""

    def _disk(self) -> str:
        try:
            space = os.statvfs(self._probes.data_dir)
        except OSError as error:
            return f"the disk of {self._probes.data_dir} does not answer: {error.strerror}"
        free = space.f_bavail / space.f_blocks if space.f_blocks else 1.0
        return f"the disk has {free:.1%} left" if free < DISK_SHARE else ""
