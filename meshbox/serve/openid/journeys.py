"""Browsers on their way to the provider and back: bounded, short-lived, each step taken once.

Two secrets belong to a journey: the state, which travels in addresses, and the browser's cookie, of which
only the hash is kept. Whoever brings one without the other is somebody else: a link with a state in it can be
sent to a victim, a cookie cannot.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from meshbox.wire.openid import Identity, Question

LIFE = 600.0
"""Seconds from the first page to the last. The registration that it is about lives a little longer."""

AT_MOST = 1024
PER_TARGET = 4
"""Journeys at once, and how many for one device or login: who opens a link again and again ends their own
first ones, nobody else's."""

Kind = Literal["register", "ssh", "console"]


@dataclass(frozen=True, slots=True)
class Target:
    """What signing in shall decide: the pending registration or the held login of that id; of the console it
    is a number of the visit, so that visits do not end each other's journeys."""

    kind: Kind
    id: str


@dataclass(frozen=True, slots=True)
class Journey:
    """`identity` is None until the person is back."""

    target: Target
    question: Question
    browser: bytes
    ends_at: float
    identity: Identity | None = None


class Journeys:
    def __init__(self, steady: Callable[[], float]) -> None:
        self._steady = steady
        self._open: dict[str, Journey] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, target: Target, browser: str) -> Question:
        """`browser` is the value of its cookie."""
        self._sweep()
        same = [state for state, journey in self._open.items() if journey.target == target]
        for state in same[: max(0, len(same) + 1 - PER_TARGET)]:
            del self._open[state]
        while len(self._open) >= AT_MOST:
            del self._open[next(iter(self._open))]
        question = Question(*(secrets.token_urlsafe(32) for _ in range(3)))
        self._open[question.state] = Journey(target, question, _hash(browser), self._steady() + LIFE)
        return question

    def take(self, state: str, browser: str, *, is_back: bool) -> Journey | None:
        """The journey, which ends with this step; None when there is none, it is at another step, or the
        browser is another. Somebody else's step does not end it."""
        self._sweep()
        journey = self._open.get(state)
        if journey is None or (journey.identity is not None) != is_back:
            return None
        if not hmac.compare_digest(journey.browser, _hash(browser)):
            return None
        del self._open[state]
        return journey

    def arrived(self, journey: Journey, identity: Identity) -> str:
        """The person is known and shall say whether it is their wish; returns the token of that question."""
        token = secrets.token_urlsafe(32)
        self._open[token] = replace(journey, identity=identity)
        return token

    def _sweep(self) -> None:
        now = self._steady()
        for state in [state for state, journey in self._open.items() if journey.ends_at <= now]:
            del self._open[state]


def _hash(browser: str) -> bytes:
    return hashlib.sha256(browser.encode()).digest()
