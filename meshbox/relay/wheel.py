"""Something to do for each of many, every so often, without a timer or a heap entry for each."""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")


class Wheel(Generic[T]):
    """Items by the second in which they are due. An item that leaves takes its entry along, so that a
    client which comes and goes a hundred times a second leaves nothing behind."""

    __slots__ = ("_due", "_slots")

    def __init__(self) -> None:
        self._slots: dict[int, dict[T, None]] = {}
        self._due: dict[T, int] = {}

    def __len__(self) -> int:
        return len(self._due)

    def add(self, item: T, due: float) -> None:
        self.remove(item)
        self._due[item] = second = int(due)
        self._slots.setdefault(second, {})[item] = None

    def remove(self, item: T) -> None:
        second = self._due.pop(item, None)
        if second is not None:
            self._slots[second].pop(item)

    def turn(self, now: float) -> list[T]:
        """The items that are due, taken out of the wheel, the longest overdue first."""
        items: list[T] = []
        for second in sorted(second for second in self._slots if second <= now):
            items.extend(self._slots.pop(second))
        for item in items:
            del self._due[item]
        return items
