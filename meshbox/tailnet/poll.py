"""One map poll: how far its client has been told, and the next thing to tell it.

A session is a cursor and a view. It holds no queue: when it is woken it reads the changes since its
cursor and answers from present truth, so a slow client costs nothing, nothing it missed can be
stale, and a node that policy hides meanwhile is removed in the same message in which anything
else is said.
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from meshbox.policy.sight import View, bit
from meshbox.tailnet.changes import Common, Fact, Gap
from meshbox.tailnet.deltas import Span
from meshbox.tailnet.frames import KEEP_ALIVE, PLAIN, ZSTD
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node

_SELF = Fact.WHOLE | Fact.KEY | Fact.SIGHT
_NOT_DNS = ~Common.DNS


class Poll:
    """The told state of one map session. `is_over` is set when the node is gone: end the stream."""

    __slots__ = ("_coding", "_cursor", "_dns", "_mapper", "_node", "_told", "is_over")

    def __init__(self, mapper: Mapper, node: Node, compress: str) -> None:
        self._mapper = mapper
        self._node = node
        self._coding = ZSTD if compress == "zstd" else PLAIN
        self._cursor = 0
        self._told: View = 0
        self._dns = b""
        self.is_over = False

    @property
    def node_id(self) -> int:
        return self._node.id

    @property
    def is_behind(self) -> bool:
        """Is there anything in the changes log this session has not looked at?"""
        return self._cursor != self._mapper.t.changes.cursor

    def first(self, now: float) -> list[bytes]:
        """The framed full map, as pieces that other sessions share: write them, do not keep them."""
        self._node = self._mapper.t.nodes[self._node.id]
        self._told = self._mapper.view(self._node, now)
        self._dns = self._mapper.dns(self._node)
        pieces, self._cursor = self._mapper.full(self._node, self._told, self._coding, now)
        return pieces

    def next(self, now: float) -> list[bytes]:
        """Framed messages with all news since the last call; empty when there is none."""
        mapper = self._mapper
        changes = mapper.t.changes
        if self._cursor == changes.cursor:
            return []
        node = mapper.t.nodes.get(self._node.id)
        if node is None:
            return [self._farewell(now)]
        dirty = changes.since(self._cursor)
        if isinstance(dirty, Gap):
            return self.first(now)
        mapper.blocks.catch_up()
        view = mapper.view(node, now)
        own = dirty.nodes.get(node.id)
        parts: list[bytes] = []
        if dirty.common & _NOT_DNS:
            parts.append(mapper.common_news(dirty.common, node, view, self._coding))
        if own is not None and own & _SELF:
            parts.append(mapper.own_news(node, self._coding, now))
        if dirty.common or (own is not None and own & _SELF):
            parts += self._dns_news(node)
        span = Span(self._told, view, self._cursor, changes.cursor)
        if own is None:
            delta = mapper.deltas.shared(span, dirty, self._coding)
        else:
            without = ~bit(node.id)
            span = replace(span, told=span.told & without, view=span.view & without)
            delta = mapper.deltas.make(span, dirty, self._coding)
        self._node, self._told, self._cursor = node, view, changes.cursor
        if delta:
            parts.append(delta)
        return parts

    def _dns_news(self, node: Node) -> list[bytes]:
        """It follows from settings, users, policy, the node's name and tags: compared, not tracked."""
        dns = self._mapper.dns(node)
        if dns == self._dns:
            return []
        self._dns = dns
        return [self._coding.message(b'{"DNSConfig":' + dns + b"}")]

    def keep_alive(self) -> bytes:
        return KEEP_ALIVE[self._coding.is_compressed]

    def _farewell(self, now: float) -> bytes:
        """The node was deleted. No status logs a client out; its own key expiring does."""
        self.is_over = True
        gone = replace(self._node, expires_at=now - 1)
        json = orjson.dumps({"Node": self._mapper.peers.self_node(gone, now)})
        return self._coding.message(json)
