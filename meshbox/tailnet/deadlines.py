"""What must happen at a time: a heap with one live deadline per (kind, subject).

Setting a deadline again moves it, so the heap may hold stale entries; they are recognised when
they surface. Two sorts of time meet here. Durations (a node's grace, an ephemeral node's
patience, a pending registration's life) are shifted when the wall clock steps, so that an NTP
correction of a day deletes nothing. Dates (key expiry) are wall-clock facts and are not.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum


class Due(IntEnum):
    OFFLINE = 1
    EPHEMERAL = 2
    PENDING = 3
    EXPIRY = 4
    CHECK = 5


DATES = frozenset({Due.EXPIRY})

Subject = int | str

STALE_FACTOR = 4
"""A node that flaps a hundred times a second moves its deadlines as often; the heap is swept when
stale entries outnumber live ones by this much."""


class Deadlines:
    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Due, Subject]] = []
        self._due: dict[tuple[Due, Subject], tuple[float, int]] = {}
        self._count = 0

    def set(self, kind: Due, subject: Subject, at: float) -> None:
        self._count += 1
        self._due[(kind, subject)] = (at, self._count)
        heapq.heappush(self._heap, (at, self._count, kind, subject))
        if len(self._heap) > STALE_FACTOR * len(self._due) + 64:
            self._compact()

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if self._due.get((entry[2], entry[3])) == entry[:2]]
        heapq.heapify(self._heap)

    def cancel(self, kind: Due, subject: Subject) -> None:
        self._due.pop((kind, subject), None)

    def take(self, now: float) -> Iterator[tuple[Due, Subject]]:
        """Remove and yield what is due. The body may set new deadlines; those wait their turn."""
        last = self._count
        while self._heap and self._heap[0][0] <= now and self._heap[0][1] <= last:
            at, count, kind, subject = heapq.heappop(self._heap)
            if self._due.get((kind, subject)) == (at, count):
                del self._due[(kind, subject)]
                yield kind, subject

    def next_at(self) -> float | None:
        """When `take` will next have something, or None."""
        while self._heap:
            at, count, kind, subject = self._heap[0]
            if self._due.get((kind, subject)) == (at, count):
                return at
            heapq.heappop(self._heap)
        return None

    def shift(self, seconds: float) -> None:
        """The wall clock stepped by `seconds`: durations move with it, dates stay."""
        for (kind, subject), (at, _) in list(self._due.items()):
            if kind not in DATES:
                self.set(kind, subject, at + seconds)
