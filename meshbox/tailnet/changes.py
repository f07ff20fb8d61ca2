"""The changes log: what became dirty, in order, bounded.

A change is not a message. It says *that* facts of a node are no longer what they were; what they
are now is read from the Tailnet when somebody asks. So changes merge by OR-ing their facts, a
reader that was away for long gets a Gap and starts afresh, and nothing can be lost or sent stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag, auto
from itertools import islice

LOG_LENGTH = 16_384
"""Entries kept. A reader further behind than this gets a full map, which is cheaper anyway."""

MEMO_LIMIT = 64
"""Sums remembered at once. In a reconnect storm every new session stands at a cursor of its own; those
sums are used once."""


class Fact(IntFlag):
    """Which facts of a node are dirty. What peers are sent depends on the kind."""

    ONLINE = auto()
    LAST_SEEN = auto()
    ENDPOINTS = auto()
    HOME_DERP = auto()
    # The three below make clients rebuild everything: never mixed into a message with the above.
    KEY = auto()
    DISCO = auto()
    CAP = auto()
    # Anything a patch cannot say (name, addresses, routes, host facts, tags, expired): a whole node.
    WHOLE = auto()
    # The node came or went, or who may see it changed.
    SIGHT = auto()
    # What the policy makes of the node: the routes it is first for. Told to itself only.
    STANDING = auto()

    HOT = ONLINE | LAST_SEEN | ENDPOINTS | HOME_DERP
    RARE = KEY | DISCO | CAP


Facts = int
"""Several of them. Plain integers in the log and in what is read from it: in a storm millions are joined,
and joining the flags of an enum is ten times as slow."""


_HOT = int(Fact.HOT)


def are_hard(facts: Facts) -> bool:
    """Is anything among them that does not change all the time?"""
    return bool(facts & ~_HOT)


class Common(IntFlag):
    """Facts that belong to no single node."""

    DNS = auto()
    DERP_MAP = auto()
    POLICY = auto()
    USERS = auto()
    # What settings and notices tell a node about itself.
    HINTS = auto()


NOTHING_COMMON = Common(0)


@dataclass(frozen=True, slots=True)
class Dirty:
    """The sum of the changes between two cursors. `affected` are the nodes whose filter or SSH rules may be
    others now, as a set of ids (policy/sight.py)."""

    nodes: Mapping[int, Facts] = field(default_factory=dict)
    common: Common = NOTHING_COMMON
    affected: int = 0
    # Asked by every session in every round: flags of an enum are slow to look at.
    has_policy: bool = False
    has_users: bool = False
    has_hints: bool = False


class Gap:
    """The answer to a cursor that fell off the log: the reader needs a full map."""


GAP = Gap()


@dataclass(frozen=True, slots=True)
class _Entry:
    node_id: int
    facts: Facts
    common: Common
    affected: int = 0


class Changes:
    """The log. `cursor` is the position after the newest entry, `common_cursor` after the newest
    that belongs to no node; positions only grow."""

    def __init__(self, length: int = LOG_LENGTH) -> None:
        self._entries: deque[_Entry] = deque(maxlen=length)
        self.cursor = 0
        self.common_cursor = 0
        self._memo: dict[int, Dirty | Gap] = {}

    def append(self, node_id: int, facts: Fact) -> None:
        self._push(_Entry(node_id, int(facts), NOTHING_COMMON))

    def append_common(self, common: Common) -> None:
        self._push(_Entry(0, 0, common))
        self.common_cursor = self.cursor

    def append_affected(self, affected: int) -> None:
        self._push(_Entry(0, 0, NOTHING_COMMON, affected))

    def _push(self, entry: _Entry) -> None:
        self._entries.append(entry)
        self.cursor += 1
        self._memo.clear()

    def since(self, cursor: int) -> Dirty | Gap:
        """The sum of all changes after `cursor`, or GAP.

        Remembered until the next change: at one wake-up nearly all sessions ask with the same
        cursor, and 10,000 of them must not each walk the log.
        """
        found = self._memo.get(cursor)
        if found is None:
            if len(self._memo) >= MEMO_LIMIT:
                self._memo.clear()
            found = self._memo[cursor] = self._sum(cursor)
        return found

    def _sum(self, cursor: int) -> Dirty | Gap:
        count = self.cursor - cursor
        if count > len(self._entries):
            return GAP
        nodes: dict[int, Facts] = {}
        common = NOTHING_COMMON
        affected = 0
        # From the newest backwards: a deque is slow in its middle.
        for entry in islice(reversed(self._entries), count):
            if entry.node_id:
                nodes[entry.node_id] = nodes.get(entry.node_id, 0) | entry.facts
            elif entry.affected:
                affected |= entry.affected
            else:
                common |= entry.common
        kinds = (Common.POLICY, Common.USERS, Common.HINTS)
        return Dirty(nodes, common, affected, *(bool(common & kind) for kind in kinds))
