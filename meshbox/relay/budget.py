"""Token buckets. Time comes in as seconds of any clock that only goes forward."""

from __future__ import annotations


class Bucket:
    """Fills with `rate` a second up to `size`."""

    __slots__ = ("_at", "_level", "rate", "size")

    def __init__(self, rate: float, size: float, now: float) -> None:
        self.rate = rate
        self.size = size
        self._level = size
        self._at = now

    def take(self, now: float) -> bool:
        """One token, if there is one."""
        self._fill(now)
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def charge(self, amount: float, now: float) -> float:
        """Take the amount, on credit if need be; gives the seconds until the debt is paid (0: no debt)."""
        self._fill(now)
        self._level -= amount
        return max(0.0, -self._level / self.rate)

    def _fill(self, now: float) -> None:
        self._level = min(self.size, self._level + (now - self._at) * self.rate)
        self._at = now
