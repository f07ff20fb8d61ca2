"""Failed attempts per source in the last minute, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

WINDOW = 60.0

SOURCES = 4096
"""Sources remembered; the one silent longest is forgotten for a new one. Who has more sources than
this gains attempts, and nothing an attempt could win: the keys have 256 random bits."""


class Attempts:
    def __init__(self) -> None:
        self._made: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def note(self, source: Hashable, now: float) -> int:
        """Count a failure; returns how many there were in this source's minute."""
        began, count = self._made.get(source, (now, 0))
        if now - began >= WINDOW:
            began, count = now, 0
        self._made[source] = (began, count + 1)
        self._made.move_to_end(source)
        if len(self._made) > SOURCES:
            self._made.popitem(last=False)
        return count + 1

    def wait(self, source: Hashable, limit: int, now: float) -> int:
        """Seconds until the source may try again; 0 when it may now."""
        began, count = self._made.get(source, (now, 0))
        left = began + WINDOW - now
        return int(left) + 1 if count >= limit and left > 0 else 0
