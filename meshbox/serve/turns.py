"""Work in small portions: what many clients can ask for at once is done a few milliseconds at a time.

A thousand nodes that reconnect bring two seconds of work within one turn of the event loop. It is
queued here, and between two portions the loop serves everybody else: the administrator, the relay, the
keep-alives.

Known nodes come first. Strangers stand in lines, one for each address, and the lines take turns: a
body of a megabyte costs 40 ms to parse, and sixty tunnels full of them made others wait for seconds.
"""

from __future__ import annotations

from collections import OrderedDict, deque
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
        self._lines: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._is_scheduled = False

    def __len__(self) -> int:
        return len(self._waiting) + sum(map(len, self._lines.values()))

    def add(self, work: Callable[[], None], line: str = "") -> None:
        """Run `work` in its turn: behind all known nodes' work, or in a stranger's `line`. It must answer
        for its own failures."""
        if line:
            self._lines.setdefault(line, deque()).append(work)
        else:
            self._waiting.append(work)
        self._schedule()

    def _schedule(self) -> None:
        if (self._waiting or self._lines) and not self._is_scheduled:
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
            # At least one piece, so that newcomers get in however busy the known ones are.
            while self._lines:
                self._next_in_line()()
                if perf_counter() > until:
                    break
        finally:
            self._schedule()

    def _next_in_line(self) -> Callable[[], None]:
        line, waiting = self._lines.popitem(last=False)
        if len(waiting) > 1:
            self._lines[line] = waiting
        return waiting.popleft()
