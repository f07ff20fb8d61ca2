"""The nodes that control admitted, as this relay was told last.

Control pushes the whole set once and then what changes. Each push says what it builds on; one that does
not fit what we have (we were restarted, or it was) raises Stale, and control sends the whole set. While
control is away the last set holds, and a key that expires meanwhile is out all the same: its date came
along with it.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Mapping
from dataclasses import dataclass

from meshbox import fastjson
from meshbox.errors import Malformed, PeerError
from meshbox.wire.keys import NodeKey

KEYS_LIMIT = 200_000
"""Keys in one push. A tailnet has thousands."""

PUSH_LIMIT = KEYS_LIMIT * 96
"""Bytes of one push."""

_EPOCH = re.compile(r"[0-9a-f]{8,64}")
_HEX = re.compile(r"[0-9a-f]{64}")


class Stale(PeerError):
    """The push builds on a state that this relay does not have."""

    status = 409


@dataclass(frozen=True, slots=True)
class Push:
    """`epoch` names one run of a control server, `to` the state after this push and `since` the one before,
    None for a whole set. `admit` has the keys with the time (unix seconds) at which they expire, 0 for
    never."""

    epoch: str
    since: int | None
    to: int
    admit: Mapping[bytes, float]
    cut: tuple[bytes, ...] = ()

    def encode(self) -> bytes:
        return fastjson.dumps(
            {
                "epoch": self.epoch,
                "since": self.since,
                "to": self.to,
                "admit": {key.hex(): expiry for key, expiry in self.admit.items()},
                "cut": [key.hex() for key in self.cut],
            }
        )


def decode(document: bytes) -> Push:
    """Raises Malformed."""
    try:
        value = fastjson.loads(document)
    except fastjson.JSONDecodeError as problem:
        raise Malformed(f"the push is not JSON: {problem}") from None
    if not isinstance(value, dict):
        raise Malformed("the push is not a JSON object")
    epoch, since, to = value.get("epoch"), value.get("since"), value.get("to")
    admit, cut = value.get("admit", {}), value.get("cut", [])
    if not isinstance(epoch, str) or not _EPOCH.fullmatch(epoch):
        raise Malformed("epoch of the push is not hex digits")
    if not isinstance(admit, dict) or not isinstance(cut, list) or len(admit) + len(cut) > KEYS_LIMIT:
        raise Malformed(f"admit or cut of the push is no list of at most {KEYS_LIMIT} keys")
    return Push(
        epoch=epoch,
        since=None if since is None else _count(since),
        to=_count(to),
        admit={_key(name): _date(at) for name, at in admit.items()},
        cut=tuple(_key(one) for one in cut),
    )


class Roster:
    """Who may be here. `is_known` says whether anybody ever told us."""

    __slots__ = ("_due", "_expiries", "epoch", "generation")

    def __init__(self) -> None:
        self.epoch = ""
        self.generation = 0
        self._expiries: dict[bytes, float] = {}
        self._due: list[tuple[float, bytes]] = []

    def __len__(self) -> int:
        return len(self._expiries)

    @property
    def is_known(self) -> bool:
        return bool(self.epoch)

    def admits(self, key: bytes, now: float) -> bool:
        """`now` is unix seconds."""
        expiry = self._expiries.get(key)
        return expiry is not None and (not expiry or now < expiry)

    def take(self, push: Push) -> list[bytes]:
        """Follow a push; gives the keys that are no longer admitted. Raises Stale and changes nothing."""
        if push.since is None:
            lost = [key for key in self._expiries if key not in push.admit]
            self._expiries, self._due = {}, []
        elif (push.epoch, push.since) != (self.epoch, self.generation):
            raise Stale
        else:
            lost = [key for key in push.cut if self._expiries.pop(key, None) is not None]
        self.epoch, self.generation = push.epoch, push.to
        for key, expiry in push.admit.items():
            self._expiries[key] = expiry
            if expiry:
                heapq.heappush(self._due, (expiry, key))
        return lost

    def expired(self, now: float) -> list[bytes]:
        """The keys that expired since this was asked last. A date that was moved counts with the new one."""
        keys = []
        while self._due and self._due[0][0] <= now:
            expiry, key = heapq.heappop(self._due)
            if self._expiries.get(key) == expiry:
                keys.append(key)
        return keys

    def whole(self) -> Push:
        """What another relay, or this one after a restart, needs to know the same."""
        return Push(self.epoch, None, self.generation, self._expiries)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 63:
        raise Malformed("since or to of the push is no count")
    return value


def _key(text: object) -> bytes:
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        raise Malformed("a key in the push is not 64 hex digits")
    return NodeKey(bytes.fromhex(text))


def _date(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e12:
        raise Malformed("an expiry in the push is not a time in unix seconds")
    return float(value)
