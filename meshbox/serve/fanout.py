"""News to all sessions: level-triggered, joined for a moment, in slices, within a quarter of a core.

A change wakes the fan-out; what changed is not looked at here. After a short delay, in which more
changes may come and cost nothing extra, every session asks its Poll what is new. A round over many
sessions yields to the loop between slices; the next one waits at least three times as long as this
one took, so a storm of changes is told in fewer, bigger messages.

While clients stand in line for an answer, news can wait: a thousand nodes that join at once all change
something, and telling each of the others so every 70 ms was most of what they cost.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter, thread_time

from meshbox.serve.core import Core
from meshbox.serve.sessions import Session, Sessions

SHORTEST_DELAY = 0.05
"""Seconds from a change to the round that tells it; changes within them are told together."""

REST = 3.0
LONGEST_REST = 1.0
"""A round is followed by a pause of this many times its own processor time (a quarter of a core), and
at most of so many seconds."""

PATIENCE = 0.25
"""Seconds after a change from which its round no longer waits for those in line. Twice as many save nothing
more, and make bursts of news that those in line then wait for."""

SLICE = 200
SLICE_SECONDS = 0.005
"""Sessions told between two looks at the sockets, and for how long at most: usually 3 ms, but after a change
of policy each gets a filter of its own."""


class Fanout:
    """`before()` runs at the start of each round: others that wait for changes."""

    def __init__(self, core: Core, sessions: Sessions, before: Callable[[], None]) -> None:
        self._core = core
        self._sessions = sessions
        self._before = before
        self._is_awake = False
        self._woken_at = 0.0
        self._rest_until = 0.0
        self._round: list[Session] = []
        self._round_woken_at = 0.0
        self._spent = 0.0

    def wake(self) -> None:
        """Something changed. Cheap, and called often."""
        if not self._is_awake:
            self._is_awake = True
            now = self._woken_at = self._core.steady()
            # A lone change is told at once, however long the last round was: the rest is behind us.
            self._core.later(max(SHORTEST_DELAY, self._rest_until - now), self._begin)

    def _begin(self) -> None:
        if self._core.turns and self._core.steady() - self._woken_at < PATIENCE:
            self._core.later(SHORTEST_DELAY, self._begin)
            return
        # From here on a change needs a round of its own: sessions already visited have not seen it.
        self._is_awake = False
        if self._round:
            self.wake()
            return
        self._round_woken_at = self._woken_at
        self._before()
        self._round = self._sessions.all()
        self._round.reverse()
        self._spent = 0.0
        self._slice()

    def _slice(self) -> None:
        began = thread_time()
        now = self._core.wall()
        told, tell = self._round, self._sessions.tell
        until = perf_counter() + SLICE_SECONDS
        for _ in range(min(SLICE, len(told))):
            tell(told.pop(), now)
            if perf_counter() > until:
                break
        self._spent += thread_time() - began
        if told:
            self._core.soon(self._slice)
            return
        ended = self._core.steady()
        self._rest_until = ended + min(REST * self._spent, LONGEST_REST)
        self._core.metrics.observe("meshbox_map_seconds", ended - self._round_woken_at)
