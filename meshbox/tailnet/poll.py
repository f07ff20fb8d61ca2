"""One map poll: how far its client has been told, and the next thing to tell it.

A session is a cursor and an outlook. It holds no queue: when it is woken it reads the changes since its
cursor and answers from present truth, so a slow client costs nothing, nothing it missed can be
stale, and a node that policy hides meanwhile is removed in the same message in which anything
else is said.
"""

from __future__ import annotations

from dataclasses import replace

from meshbox import fastjson
from meshbox.policy.outlook import NOTHING
from meshbox.tailnet.changes import Fact, Gap
from meshbox.tailnet.deltas import Span
from meshbox.tailnet.frames import KEEP_ALIVE, PLAIN, ZSTD
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.wire.gojson import Json

_SELF = int(Fact.WHOLE | Fact.KEY | Fact.SIGHT | Fact.STANDING)
_PERMIT = int(Fact.WHOLE | Fact.SIGHT)


class Poll:
    """The told state of one map session. `is_over` is set when the node is gone: end the stream."""

    __slots__ = (
        "_coding",
        "_cursor",
        "_dns",
        "_filter",
        "_hints",
        "_mapper",
        "_node",
        "_ssh",
        "_told",
        "is_over",
    )

    def __init__(self, mapper: Mapper, node: Node, compress: str) -> None:
        self._mapper = mapper
        self._node = node
        self._coding = ZSTD if compress == "zstd" else PLAIN
        self._cursor = 0
        self._told = NOTHING
        # Hashes of what was told last: the texts themselves may be long.
        self._filter = b""
        self._ssh = 0
        self._dns = 0
        self._hints = 0
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
        mapper = self._mapper
        node = self._node = mapper.t.nodes[self._node.id]
        self._told = mapper.outlook(node, now)
        permit = mapper.permit(node)
        self._filter, self._ssh = permit.marks, hash(permit.ssh)
        self._dns, self._hints = hash(mapper.dns(node)), hash(mapper.hints.fields(node))
        pieces, self._cursor = mapper.full(node, self._told, permit, self._coding, now)
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
        # Before the log is read: what the policy makes of the changes is written there.
        outlook = mapper.outlook(node, now)
        dirty = changes.since(self._cursor)
        if isinstance(dirty, Gap):
            return self.first(now)
        mapper.blocks.catch_up()
        own = dirty.nodes.get(node.id)
        parts: list[bytes] = []
        if dirty.common:
            parts.append(mapper.common_news(dirty.common, node, outlook, self._coding))
        # Its owner's name reaches a node with itself: it may see no other node of that owner.
        is_self_dirty = own is not None and bool(own & _SELF)
        if is_self_dirty or dirty.has_policy or dirty.has_users or dirty.has_hints:
            parts.append(mapper.own_news(node, self._coding, now))
        if dirty.has_policy or dirty.affected >> node.id & 1 or (own is not None and own & _PERMIT):
            parts.append(self._permit_news(node))
        dns = mapper.dns_view
        has_moved = dns.connectors.are_touched(dirty) or (outlook is not self._told and dns.depends_on_view)
        if is_self_dirty or dirty.common or has_moved:
            parts += [self._dns_news(node), self._hint_news(node)]
        span = Span(self._told, outlook, self._cursor, changes.cursor)
        parts.append(mapper.deltas.for_viewer(node.id, span, dirty, self._coding))
        self._node, self._told, self._cursor = node, outlook, changes.cursor
        return [part for part in parts if part]

    def message(self, fields: Json) -> bytes:
        """One framed message with these fields, as this session's client reads it."""
        return self._coding.message(fastjson.dumps(fields))

    def keep_alive(self) -> bytes:
        return KEEP_ALIVE[self._coding.is_compressed]

    def _permit_news(self, node: Node) -> bytes:
        """What the node lets in, as far as it changed; b"" when it did not."""
        permit = self._mapper.permit(node)
        known, self._ssh = self._ssh, hash(permit.ssh)
        fields = [permit.news_since(self._filter)]
        if known != self._ssh:
            fields.append(b'"SSHPolicy":' + permit.ssh)
        self._filter = permit.marks
        fields = [field for field in fields if field]
        return self._coding.message(b"{" + b",".join(fields) + b"}") if fields else b""

    def _dns_news(self, node: Node) -> bytes:
        """It follows from settings, policy, people, the node's name and tags: compared, not tracked."""
        dns = self._mapper.dns(node)
        known, self._dns = self._dns, hash(dns)
        return self._coding.message(b'{"DNSConfig":' + dns + b"}") if known != self._dns else b""

    def _hint_news(self, node: Node) -> bytes:
        hints = self._mapper.hints.fields(node)
        known, self._hints = self._hints, hash(hints)
        return self._coding.message(b"{" + hints[1:] + b"}") if known != self._hints else b""

    def _farewell(self, now: float) -> bytes:
        """The node was deleted. No status logs a client out; its own key expiring does."""
        self.is_over = True
        gone = replace(self._node, expires_at=now - 1)
        json = fastjson.dumps({"Node": self._mapper.peers.self_node(gone, now)})
        return self._coding.message(json)
