"""Which of many alike events get a line, and how many were only counted.

Of one event and key the first gets a line; those in the minute after it are counted, and when the
minute is over the count gets a line. Only so many keys of an event have a line of their own:
addresses are free for an attacker with an IPv6 prefix, so a limit per address alone would let
him write 5 MB of log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

WINDOW = 60.0
"""Seconds in which events like the first are only counted."""
KEYS_PER_EVENT = 20
"""Keys of one event with a window of their own; all others share one."""
_OTHERS = "others"


@dataclass(slots=True)
class _Window:
    ends: float
    similar: int
    fields: Mapping[str, object]


class Repeats:
    def __init__(self) -> None:
        # In the order they were opened, which is the order they end in.
        self._windows: dict[tuple[str, object], _Window] = {}
        self._keys: Counter[str] = Counter()

    def admit(self, event: str, key: object, fields: Mapping[str, object], now: float) -> bool:
        """Whether this one gets a line. If not, it was counted."""
        place: tuple[str, object] = (event, key)
        if place not in self._windows and self._keys[event] >= KEYS_PER_EVENT:
            place = (event, _OTHERS)
        window = self._windows.get(place)
        if window is None:
            self._windows[place] = _Window(now + WINDOW, 0, {})
            self._keys[event] += 1
            return True
        window.similar += 1
        window.fields = fields
        return False

    def ended(self, now: float) -> Iterator[tuple[str, Mapping[str, object], int]]:
        """Close the windows that are over: (event, its last fields, how many were counted)."""
        while self._windows:
            place, window = next(iter(self._windows.items()))
            if window.ends > now:
                return
            del self._windows[place]
            self._keys[place[0]] -= 1
            if window.similar:
                yield place[0], window.fields, window.similar
