"""Work in small portions: what many clients can ask for at once is done a few milliseconds at a time.

A thousand nodes that reconnect bring two seconds of work within one turn of the event loop. It is
queued here, first come first served, and between two portions the loop serves everybody else: the
administrator, the relay, the keep-alives.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import perf_counter

PORTION = 0.005
"""Seconds of work between two looks at the sockets."""

Later = Callable[[Callable[[], None]], object]


class Turns:
    """`later` runs a callable in the loop's next turn (`loop.call_soon`)."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, work: Callable[[], None]) -> None:
        """Run `work` in its turn. It must answer for its own failures."""
        self._waiting.append(work)
        self._schedule()

    def _schedule(self) -> None:
        if self._waiting and not self._is_scheduled:
            self._is_scheduled = True
            self._later(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        until = perf_counter() + PORTION
        try:
            while self._waiting:
                self._waiting.popleft()()
                if perf_counter() > until:
                    break
        finally:
            self._schedule()
