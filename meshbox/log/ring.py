"""The last events, in memory: what `meshbox events` shows where there is no journal.

Bounded twice, by number and by characters, so that a flood of long lines costs no more than a few
megabytes. Numbers grow by one and are never used again; a reader that comes back with the last number it
saw is told how many fell out meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from meshbox.log.lines import Line

LINES = 2_000
CHARACTERS = 2 << 20


@dataclass(frozen=True, slots=True)
class Kept:
    number: int
    line: Line
    size: int


class Ring:
    def __init__(self, lines: int = LINES, characters: int = CHARACTERS) -> None:
        self._lines = lines
        self._characters = characters
        self._kept: deque[Kept] = deque()
        self._size = 0
        self.newest = 0
        """The number of the last event; 0 before the first."""

    def add(self, line: Line) -> None:
        size = len(line.text) + sum(len(str(value)) for value in line.fields.values())
        self.newest += 1
        self._kept.append(Kept(self.newest, line, size))
        self._size += size
        while len(self._kept) > self._lines or (self._size > self._characters and len(self._kept) > 1):
            self._size -= self._kept.popleft().size

    def after(self, number: int) -> Iterator[Kept]:
        """Events after that number, oldest first."""
        # A snapshot: another thread may log while somebody reads.
        return (kept for kept in list(self._kept) if kept.number > number)

    def missed(self, number: int) -> int:
        """How many events after that number are no longer here."""
        oldest = self._kept[0].number if self._kept else self.newest + 1
        return max(0, oldest - number - 1)
