"""Who is signed in to the console: in memory, bounded, and asked at every request whether it still holds.

A restart of the server signs everybody out; nothing of a session is on disk. Of the cookie only the hash is
kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from meshbox.serve.console.rights import Holder, Right

IDLE = 12 * 3600.0
LIFE = 7 * 86_400.0
"""Seconds without a request, and from the start, after which a session is over."""

AT_MOST = 512
"""Sessions at once; beyond it the oldest ends."""

PER_ACTOR = 16
"""Of one key or person: who signs in again and again ends their own first ones, and nobody else's."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What an act has to say on the next screen, once. `secret` is a key that nobody will see again."""

    text: str
    secret: str = ""
    command: str = ""


@dataclass(slots=True)
class Session:
    """`actor` is the name in the audit, `user_id` the person when it is one; `right` is what they may do at
    this request; `form_token` stands in each form."""

    actor: str
    user_id: int | None
    holder: Holder
    right: Right
    ends_at: float
    used_at: float
    form_token: str
    notice: Notice | None = None

    def take_notice(self) -> Notice | None:
        notice, self.notice = self.notice, None
        return notice


class Sessions:
    """`steady` is the monotonic clock, `wall` the time of day, by which keys expire."""

    def __init__(self, steady: Callable[[], float], wall: Callable[[], float]) -> None:
        self._steady = steady
        self._wall = wall
        self._open: dict[bytes, Session] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, actor: str, holder: Holder, user_id: int | None = None) -> str:
        """The value of the cookie."""
        self._sweep()
        own = [name for name, session in self._open.items() if session.actor == actor]
        for name in own[: max(0, len(own) + 1 - PER_ACTOR)]:
            del self._open[name]
        while len(self._open) >= AT_MOST:
            del self._open[next(iter(self._open))]
        cookie, now = secrets.token_urlsafe(32), self._steady()
        self._open[_hash(cookie)] = Session(
            actor, user_id, holder, Right.OWN, now + LIFE, now, secrets.token_urlsafe(32)
        )
        return cookie

    def find(self, cookie: str) -> Session | None:
        session = self._open.get(_hash(cookie))
        if session is None:
            return None
        if not self._is_live(session):
            self.end(cookie)
            return None
        session.used_at = self._steady()
        return session

    def end(self, cookie: str) -> None:
        self._open.pop(_hash(cookie), None)

    def _is_live(self, session: Session) -> bool:
        now = self._steady()
        right = session.holder(self._wall())
        if right is None or now >= session.ends_at or now >= session.used_at + IDLE:
            return False
        session.right = right
        return True

    def _sweep(self) -> None:
        self._open = {name: session for name, session in self._open.items() if self._is_live(session)}


def _hash(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()
