"""Several connections with one key.

Usually a phone that changed networks: the old connection is dead and does not know it. Rarely a
cloned disk: two machines that use one key at once. In both cases the connection that spoke last gets
the packets, a new one counting as having spoken, and the others stay. Kicking them out makes two clones
kick each other for ever, which is why the official relay stopped doing it.

When connections keep taking the key from each other, all of them are told: clients show the text of a
Health frame to their user, and a cloned key is otherwise a riddle.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from meshbox.relay.client import Client

TWINS_LIMIT = 16
"""Connections per key. Each costs memory that the guard of unauthenticated connections no longer counts."""

FLIPS = 8
FLIP_WINDOW = 30.0
"""So many changes of the speaker within so many seconds are a fight. Roaming changes it once."""

CLONE_WARNING = (
    "another device uses the same node key as this one, so packets reach one or the other. "
    "If this machine was cloned, log one of them out and in again."
)


class Twins:
    """The connections of one key in the order in which they last spoke."""

    __slots__ = ("_flips", "_order", "_window_at", "warned")

    def __init__(self, older: Client, now: float) -> None:
        self._order: dict[Client, None] = {older: None}
        self._flips = 0
        self._window_at = now
        self.warned = False

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Client]:
        return iter(self._order)

    @property
    def oldest(self) -> Client:
        return next(iter(self._order))

    @property
    def speaker(self) -> Client:
        return next(reversed(self._order))

    def join(self, client: Client) -> None:
        self._order[client] = None

    def leave(self, client: Client) -> None:
        del self._order[client]

    def speak(self, client: Client, now: float) -> bool:
        """The client said something. True if it is time to warn all of them."""
        del self._order[client]
        self._order[client] = None
        if now - self._window_at > FLIP_WINDOW:
            self._window_at, self._flips = now, 0
        self._flips += 1
        if self._flips < FLIPS or self.warned:
            return False
        self.warned = True
        return True
