"""The audit while the server runs: each row is also a log event, and old rows go."""

from __future__ import annotations

from collections.abc import Callable

from meshbox import log
from meshbox.errors import StoreError
from meshbox.tailnet.model import Audit

FIRST_TRIM, TRIM_EVERY, TRIM_ON = 600.0, 86_400.0, 10.0
"""Seconds after the start, between two trims, and between two slices of a long one."""


def mirror(audit: Audit) -> None:
    """What was committed, for the journal: `journalctl MESHBOX_NODE=laptop` also tells who renamed it."""
    kind = audit.action.partition(".")[0]
    log.emit(
        "audited",
        actor=audit.actor,
        action=audit.action,
        object=audit.object,
        detail=audit.detail,
        node=audit.object if kind == "node" else "",
        user=audit.object if kind == "user" else "",
    )


class Trimmer:
    """`trim(before, now)` removes a slice and says how many rows went; `retention()` in seconds, 0 for ever.
    Call `beat` every second."""

    def __init__(
        self,
        trim: Callable[[float, float], int],
        retention: Callable[[], float],
        wall: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self._trim = trim
        self._retention = retention
        self._wall = wall
        self._steady = steady
        self._due_at = steady() + FIRST_TRIM
        self._gone = 0

    def beat(self) -> None:
        if self._steady() < self._due_at:
            return
        self._due_at = self._steady() + TRIM_EVERY
        retention, now = self._retention(), self._wall()
        if not retention:
            return
        try:
            gone = self._trim(now - retention, now)
        except StoreError as error:
            log.emit("audit_trim_failed", err=str(error))
            return
        self._gone += gone
        if gone:
            # There may be more: the loop gets to breathe in between.
            self._due_at = self._steady() + TRIM_ON
        elif self._gone:
            log.emit("audit_trimmed", count=self._gone)
            self._gone = 0
