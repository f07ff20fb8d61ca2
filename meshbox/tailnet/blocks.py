"""Peers in full maps: blocks of 128 node ids, each encoded once for all who see the same of it.

A full map of 10,000 peers is 80 shared pieces and one of the viewer's own. A block is keyed by
which of its nodes are visible and with which routes, so two viewers share it exactly when they may see
the same of the nodes in it: nothing can leak from one view into another.

Blocks follow hard facts at once. Hot facts (online, endpoints) may lag by STALE_AFTER: during a
reconnect storm every node changes them constantly, and rebuilding each block for each of 10,000
maps is the difference between 40 and 200 seconds. `pieces` says how far behind its answer is, and the
session is told the rest as an ordinary delta right after.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from meshbox.policy.outlook import Outlook, RoutedBy
from meshbox.policy.sight import bit, members
from meshbox.tailnet.changes import Gap, are_hard
from meshbox.tailnet.frames import ZSTD, Coding
from meshbox.tailnet.peers import Peers
from meshbox.tailnet.tailnet import Tailnet

BLOCK = 128
STALE_AFTER = 0.5
CACHE_BYTES = 32 << 20

_MASK = (1 << BLOCK) - 1

Key = tuple[int, int, bool, RoutedBy]


@dataclass(frozen=True, slots=True)
class Part:
    """The nodes of a block that an outlook shows; bit n of `mask` is the block's nth node."""

    index: int
    mask: int
    outlook: Outlook

    @property
    def key(self) -> Key:
        outlook = self.outlook
        routers = outlook.routers >> self.index * BLOCK & self.mask
        first = self.index * BLOCK
        routed = tuple((first + one, outlook.routes[first + one]) for one in members(routers))
        return self.index, self.mask, outlook.shows_ipv4, routed


@dataclass(frozen=True, slots=True)
class Block:
    """Encoded peers and who owns them; true as of `cursor`."""

    piece: bytes
    owners: frozenset[int]
    cursor: int
    built_at: float
    hard: int


@dataclass(frozen=True, slots=True)
class Selection:
    """The pieces of a view, all their owners, and the cursor up to which they tell the truth."""

    pieces: list[bytes]
    owners: frozenset[int]
    cursor: int


class Blocks:
    def __init__(self, t: Tailnet, peers: Peers) -> None:
        self._t = t
        self._peers = peers
        self._cache: OrderedDict[Key, Block] = OrderedDict()
        self._bytes = 0
        self._hard: dict[int, int] = {}
        self._hot: dict[int, int] = {}
        self._cursor = t.changes.cursor

    def catch_up(self) -> None:
        """Learn what became dirty. Called before anything encoded is used."""
        changes = self._t.changes
        if changes.cursor == self._cursor:
            return
        dirty = changes.since(self._cursor)
        self._cursor = changes.cursor
        if isinstance(dirty, Gap):
            self.forget_all()
            return
        for node_id, facts in dirty.nodes.items():
            self._peers.forget(node_id, facts)
            index = node_id // BLOCK
            if are_hard(facts):
                self._hard[index] = changes.cursor
            self._hot[index] = changes.cursor

    def forget_all(self) -> None:
        self._cache.clear()
        self._bytes = 0
        self._peers.forget_all()

    def select(self, outlook: Outlook, viewer: int, coding: Coding, now: float) -> Selection:
        """All peers in sight but the viewer."""
        self.catch_up()
        view = outlook.view & ~bit(viewer)
        sees_itself = view != outlook.view
        pieces: list[bytes] = []
        owners: set[int] = set()
        cursor = self._cursor
        index = 0
        while view:
            mask = view & _MASK
            if mask:
                # The viewer's own block lacks the viewer: nobody else can use it.
                is_own = sees_itself and index == viewer // BLOCK
                block = self._block(Part(index, mask, outlook), coding, now, is_own)
                pieces.append(block.piece)
                owners |= block.owners
                if block.cursor < self._hot.get(index, 0):
                    cursor = min(cursor, block.cursor)
            view >>= BLOCK
            index += 1
        return Selection(pieces, frozenset(owners), cursor)

    def _block(self, part: Part, coding: Coding, now: float, is_own: bool) -> Block:
        if is_own or coding is not ZSTD:
            return self._build(part, coding, now)
        key = part.key
        block = self._cache.get(key)
        if block is not None and self._is_usable(part.index, block, now):
            self._cache.move_to_end(key)
            return block
        if block is not None:
            self._bytes -= len(block.piece)
        block = self._cache[key] = self._build(part, coding, now)
        self._bytes += len(block.piece)
        while self._bytes > CACHE_BYTES and len(self._cache) > 1:
            _, dropped = self._cache.popitem(last=False)
            self._bytes -= len(dropped.piece)
        return block

    def _is_usable(self, index: int, block: Block, now: float) -> bool:
        if block.hard != self._hard.get(index, 0):
            return False
        return block.cursor >= self._hot.get(index, 0) or 0 <= now - block.built_at < STALE_AFTER

    def _build(self, part: Part, coding: Coding, now: float) -> Block:
        ids = [part.index * BLOCK + offset for offset in members(part.mask)]
        piece = coding.encode(b",".join([self._peers.node(node_id, part.outlook) for node_id in ids]))
        owners = frozenset(self._peers.owner(node_id) for node_id in ids)
        return Block(piece, owners, self._cursor, now, self._hard.get(part.index, 0))
