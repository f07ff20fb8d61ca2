"""Is it well? The same checks feed the public `/health`, the readiness page and the watchdog.

The public answer is one word; what is wrong is said only on the metrics listener and in the log. A *problem*
stops the service or will within moments (fail, 503); a *doubt* does not yet, and somebody has to act (warn,
200: a balancer must not take a server away because its backup is old).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from meshbox import log
from meshbox.errors import MeshboxError

LATE = 5.0
"""Seconds of lateness of the event loop that clients notice."""

DISK_SHARE = 0.02
"""Share of the disk that must be free; below it the next write may fail."""

MENDED_BY_RESTART = ("store", "loop")

FRESH = 2.0
"""Seconds a verdict is used again: `/health` is public, and a check writes to the disk."""


@dataclass(frozen=True, slots=True)
class Probes:
    """`check_store` raises when the database cannot be written; `loop_lag` is in seconds; `certificate`
    says why clients cannot connect by TLS, "" when they can; `data_dir` is where the database lies. `doubts`
    are by what they concern, "" when there is none."""

    check_store: Callable[[], None]
    loop_lag: Callable[[], float]
    certificate: Callable[[], str]
    data_dir: Path
    doubts: Mapping[str, Callable[[], str]] = field(default_factory=dict)


class Health:
    def __init__(self, probes: Probes, steady: Callable[[], float]) -> None:
        self._probes = probes
        self._steady = steady
        self._checked_at = -FRESH
        self._problems: dict[str, str] = {}
        self._doubts: dict[str, str] = {}

    @property
    def is_well(self) -> bool:
        return not self.problems()

    @property
    def restart_would_help(self) -> bool:
        """For the watchdog: an expired certificate or a full disk does not go away by starting again."""
        return not self.problems().keys().isdisjoint(MENDED_BY_RESTART)

    @property
    def status(self) -> str:
        """pass, warn or fail, as in the draft of application/health+json."""
        return "fail" if self.problems() else "warn" if self.doubts() else "pass"

    def problems(self) -> dict[str, str]:
        """What is wrong now, by what it concerns; empty when all is well."""
        now = self._steady()
        if now - self._checked_at < FRESH:
            return self._problems
        before, doubted = self._problems, self._doubts
        self._problems = dict(self._find())
        self._doubts = {name: text for name, find in self._probes.doubts.items() if (text := find())}
        self._checked_at = now
        for name, text in self._problems.items():
            if name not in before:
                log.emit("health_lost", what=name, reason=text)
        for name, text in self._doubts.items():
            if name not in doubted and name not in self._problems:
                log.emit("health_doubtful", what=name, reason=text)
        for name in before.keys() | doubted.keys():
            if name not in self._problems and name not in self._doubts:
                log.emit("health_regained", what=name)
        return self._problems

    def doubts(self) -> dict[str, str]:
        """What will need somebody, by what it concerns."""
        self.problems()
        return self._doubts

    def store_answers(self) -> bool:
        return "store" not in self.problems()

    def _find(self) -> Iterator[tuple[str, str]]:
        for name, text in (
            ("store", self._store()),
            ("loop", self._loop()),
            ("certificate", self._probes.certificate()),
            ("disk", self._disk()),
        ):
            if text:
                yield name, text

    def _store(self) -> str:
        try:
            self._probes.check_store()
        except MeshboxError as error:
            return str(error)
        return ""

    def _loop(self) -> str:
        lag = self._probes.loop_lag()
        return f"the event loop is {lag:.1f} s late" if lag > LATE else ""

    def _disk(self) -> str:
        try:
            space = os.statvfs(self._probes.data_dir)
        except OSError as error:
            return f"the disk of {self._probes.data_dir} does not answer: {error.strerror}"
        free = space.f_bavail / space.f_blocks if space.f_blocks else 1.0
        return f"the disk has {free:.1%} left" if free < DISK_SHARE else ""
