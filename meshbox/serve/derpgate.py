"""Who may use a relay that stands on its own: everybody, those a URL says yes to, or those control pushed.

What was pushed is kept in a file, so that a relay that restarts while control is away lets the same
nodes in. A node that loses the right is cut at the push; one that expires, within a second.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from meshbox import log
from meshbox.errors import Malformed
from meshbox.relay.roster import PUSH_LIMIT, Push, Roster, decode
from meshbox.serve.derp import DerpServer

KEPT_NAME = "admitted.json"


class Gate:
    """The pushed set with its file. `wall()` is unix seconds. `beat` wants to be called every second. Of
    several workers only the first `keeps` the file."""

    def __init__(self, state_dir: Path, wall: Callable[[], float], keeps: bool = True) -> None:
        self.roster = Roster()
        self.pushed_at = 0.0
        self._path = state_dir / KEPT_NAME
        self._wall = wall
        self._keeps = keeps
        self._is_kept = True
        self._relay: DerpServer | None = None
        self._recall()

    def admits(self, key: bytes) -> bool:
        return self.roster.admits(key, self._wall())

    def guard(self, relay: DerpServer) -> None:
        """The relay whose clients are cut."""
        self._relay = relay

    def take(self, push: Push) -> int:
        """Follow a push; gives how many connections it cut. Raises Stale."""
        lost = self.roster.take(push)
        self.pushed_at = self._wall()
        self._is_kept = False
        return self._cut(lost)

    def beat(self) -> None:
        self._cut(self.roster.expired(self._wall()))
        if self._keeps and not self._is_kept:
            self._keep()

    def _cut(self, keys: list[bytes]) -> int:
        relay = self._relay
        return sum(relay.cut(key) for key in keys) if relay is not None else 0

    def _keep(self) -> None:
        self._is_kept = True
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(self.roster.whole().encode())
            fresh.replace(self._path)
        except OSError as error:
            log.emit_limited("derp_set_not_kept", "", path=str(self._path), reason=error.strerror)

    def _recall(self) -> None:
        try:
            with self._path.open("rb") as file:
                push = decode(file.read(PUSH_LIMIT + 1))
        except FileNotFoundError:
            return
        except OSError as error:
            log.emit("derp_set_not_read", path=str(self._path), reason=error.strerror)
            return
        except Malformed as error:
            log.emit("derp_set_not_read", path=str(self._path), reason=str(error))
            # Nobody gets in by it, and control will send a good one.
            with contextlib.suppress(OSError):
                self._path.unlink()
            return
        self.roster.take(push)
