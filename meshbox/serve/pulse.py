"""The one timer: what happens once a second, and what is due at a time.

Everything that needs a deadline hangs here, so that ten thousand sessions need no timer each. The
loop's lateness is measured on the way, and a step of the wall clock noticed: durations the tailnet
counts in wall time are moved along, so that an NTP correction of a day expires nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from meshbox import log
from meshbox.errors import MeshboxError
from meshbox.serve.core import Core
from meshbox.tailnet.clockwork import advance

BEAT = 1.0
FLUSH_EVERY = 3
"""Beats between two writes of what nodes reported."""

FLUSH_SLICE = 500
"""Nodes written at a time: about 5 ms. After a storm of 10,000 one transaction would stall the loop for
a fifth of a second."""

STEP = 5.0
"""Seconds between the two clocks' advance from which the wall clock has stepped. Slewing is slower."""

SOONEST = 0.02
LATEST = 60.0
"""Bounds on the wait for the next deadline: a thousand nodes that leave within a moment are one call."""

LAG_WORTH_SAYING = 1.0


class Timer(Protocol):
    def cancel(self) -> None: ...


class Pulse:
    """`chores` run at each beat. `start` and `stop` it; call `arm` when a deadline may have been set."""

    def __init__(self, core: Core, chores: Sequence[Callable[[], None]]) -> None:
        self._core = core
        self._chores = list(chores)
        self._beats = 0
        self._steady_at = core.steady()
        self._wall_at = core.wall()
        self._due_at: float | None = None
        self._is_running = False
        self.lag = 0.0

    def add(self, chore: Callable[[], None]) -> None:
        self._chores.append(chore)

    def start(self) -> None:
        self._is_running = True
        # Since this was made, the start may have waited for a relay: that is no lag.
        self._steady_at, self._wall_at = self._core.steady(), self._core.wall()
        self._core.later(BEAT, self._beat)
        self.arm()

    def stop(self) -> None:
        self._is_running = False

    def arm(self) -> None:
        """See to it that `advance` runs at the tailnet's next deadline."""
        next_at = self._core.tailnet.deadlines.next_at()
        if next_at is None or (self._due_at is not None and self._due_at <= next_at):
            return
        self._due_at = next_at
        wait = min(max(next_at - self._core.wall(), SOONEST), LATEST)
        self._core.later(wait, self._advance)

    def _advance(self) -> None:
        if not self._is_running:
            return
        self._due_at = None
        try:
            advance(self._core.tailnet, self._core.wall())
        except MeshboxError as error:
            log.emit_limited("deadline_failed", "", err=str(error))
        self.arm()

    def _beat(self) -> None:
        if not self._is_running:
            return
        self._core.later(BEAT, self._beat)
        self._beats += 1
        self._watch_clocks()
        for chore in self._chores:
            chore()
        if self._beats % FLUSH_EVERY == 0:
            self._flush_in_turns()

    def flush(self) -> None:
        """Write all that nodes reported; what cannot be written now is kept for the next time."""
        while self._flush_slice():
            pass

    def _flush_in_turns(self) -> None:
        if self._flush_slice():
            self._core.turns.add(self._flush_in_turns)

    def _flush_slice(self) -> bool:
        """Write one slice; says whether there may be more."""
        try:
            return self._core.tailnet.flush(FLUSH_SLICE) == FLUSH_SLICE
        except MeshboxError as error:
            log.emit_limited("flush_failed", "", err=str(error))
            return False

    def _watch_clocks(self) -> None:
        steady, wall = self._core.steady(), self._core.wall()
        passed = steady - self._steady_at
        step = (wall - self._wall_at) - passed
        self.lag = max(0.0, passed - BEAT)
        self._steady_at, self._wall_at = steady, wall
        if self.lag > LAG_WORTH_SAYING:
            log.emit_limited("loop_late", "", seconds=round(self.lag, 1))
        if abs(step) > STEP:
            log.emit("clock_stepped", seconds=round(step, 1))
            self._core.tailnet.deadlines.shift(step)
            self._due_at = None
            self.arm()
