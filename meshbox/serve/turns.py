"""Work in small portions: what many clients can ask for at once is done a few milliseconds at a time.

A thousand nodes that reconnect bring two seconds of work within one turn of the event loop. It is
queued here, and between two portions the loop serves everybody else: the administrator, the relay, the
keep-alives.

Known nodes come first. Everybody stands in a line, one for each node and one for each stranger's
address, and the lines take turns: a body of a megabyte costs 40 ms to parse, and sixty tunnels full of
them made everybody else wait for seconds.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from time import perf_counter

PORTION = 0.005
"""Seconds of work between two looks at the sockets."""

Work = Callable[[], None]
Later = Callable[[Work], object]


class Lines:
    """Pieces of work in lines; `next` takes one from each line in turn."""

    def __init__(self) -> None:
        self._lines: OrderedDict[Hashable, deque[Work]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lines)

    @property
    def pieces(self) -> int:
        return sum(map(len, self._lines.values()))

    def add(self, work: Work, line: Hashable) -> None:
        self._lines.setdefault(line, deque()).append(work)

    def next(self) -> Work:
        line, waiting = self._lines.popitem(last=False)
        if len(waiting) > 1:
            self._lines[line] = waiting
        return waiting.popleft()


class Turns:
    """`later` runs a callable in the loop's next turn (`loop.call_soon`)."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._known = Lines()
        self._strangers = Lines()
        self._is_scheduled = False

    def __len__(self) -> int:
        return self._known.pieces + self._strangers.pieces

    def add(self, work: Work, line: Hashable = None, is_stranger: bool = False) -> None:
        """Run `work` in its turn, behind what stands in the same line. It must answer for its own
        failures."""
        (self._strangers if is_stranger else self._known).add(work, line)
        self._schedule()

    def _schedule(self) -> None:
        if (self._known or self._strangers) and not self._is_scheduled:
            self._is_scheduled = True
            self._later(self._run)

    def _run(self) -> None:
        self._is_scheduled = False
        until = perf_counter() + PORTION
        try:
            # At least one piece of each, so that newcomers get in however busy the known ones are.
            for lines in (self._known, self._strangers):
                while lines:
                    lines.next()()
                    if perf_counter() > until:
                        break
        finally:
            self._schedule()
