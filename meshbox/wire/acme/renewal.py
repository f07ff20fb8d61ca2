"""When to renew, and when to try again: arithmetic on dates, in unix seconds.

Everybody who renews at the same moment is a flood, so each certificate has its own point within what is
allowed: `share_of` gives a number from 0 to 1 that follows from the certificate alone. It is the same after
a restart, and needs no randomness.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from meshbox.wire.acme.messages import Window

SHORT_LIFE = 10 * 86_400.0
"""Seconds. Certificates that live shorter are renewed after half their life, others after two thirds."""

LEAST_USE = 3600.0
"""Seconds a certificate is used at least, whatever a broken authority advises."""

FIRST_RETRY, LAST_RETRY = 300.0, 6 * 3600.0
"""Seconds until the next try after a failure, doubled each time. Let's Encrypt counts five failed
validations per name and hour; five tries of ours take over an hour and a half."""

ASK_AGAIN, ASK_AGAIN_SOONEST, ASK_AGAIN_LATEST = 6 * 3600.0, 60.0, 86_400.0
"""Seconds between two looks at the renewal window: our own habit, and what an authority may ask for."""


def share_of(certificate: bytes) -> float:
    """`certificate` in DER."""
    return int.from_bytes(hashlib.sha256(certificate).digest()[:8], "big") / 2**64


@dataclass(frozen=True, slots=True)
class Life:
    """Of a certificate, in unix seconds. `begins` may lie before `obtained_at`: authorities date back."""

    begins: float
    ends: float
    obtained_at: float

    @property
    def span(self) -> float:
        return self.ends - self.begins


def due_at(life: Life, share: float, window: Window | None) -> float:
    """When to renew. The authority's window wins, but nobody may talk us past the end of the life, or into
    ordering one certificate after the other."""
    if window is not None:
        latest = life.ends - life.span / 8
        earliest = life.obtained_at + min(LEAST_USE, life.span / 4)
        return max(min(window.start + share * (window.end - window.start), latest), earliest)
    begin = life.begins + life.span * (1 / 2 if life.span < SHORT_LIFE else 2 / 3)
    return begin + share * life.span / 16


def retry_after(failures: int, asked: float | None, share: float) -> float:
    """Seconds to wait after so many failures in a row. `asked` is the authority's own wish."""
    backoff = min(FIRST_RETRY * 2.0 ** min(failures - 1, 16), LAST_RETRY)
    return max(backoff * (1 + share / 4), asked or 0.0)


def look_after(asked: float | None) -> float:
    """Seconds until the renewal window is asked for again."""
    return ASK_AGAIN if asked is None else min(max(asked, ASK_AGAIN_SOONEST), ASK_AGAIN_LATEST)
