"""What changed between two moments, as messages: made once, given to every session that needs it.

A delta depends on what the session was told (an outlook), what it may see now (an outlook) and the
dirty facts in between, and on nothing else. Sessions that stand at the same point therefore share one
encoded result, whoever they are; only sessions of the dirty nodes themselves get their own, without
the news about themselves.

Kinds of messages are kept apart, because a client handles some without rebuilding its whole
network map and one wrong field spoils the message (control-protocol 6.5): whole nodes, then hot
patches, then rare patches.
"""

from __future__ import annotations

from typing import NamedTuple

from meshbox import fastjson
from meshbox.policy.outlook import Outlook
from meshbox.policy.sight import View, bit, members
from meshbox.tailnet.changes import Dirty, Fact
from meshbox.tailnet.frames import Coding
from meshbox.tailnet.peers import Peers

MEMO_LIMIT = 256

_SIGHT, _HOT, _RARE = int(Fact.SIGHT), int(Fact.HOT), int(Fact.RARE)
_WHOLE = int(Fact.WHOLE | Fact.SIGHT)


class Span(NamedTuple):
    """From what was told to what is: the identity of a delta. A tuple, because every session makes one in
    every round and looks it up."""

    told: Outlook
    now: Outlook
    since: int
    until: int

    @property
    def moved(self) -> View:
        """The nodes that the delta speaks of though nothing of them changed: they came into sight or left
        it, or are shown with other routes."""
        if self.told is self.now:
            return 0
        found = self.told.view ^ self.now.view
        for router in self.now.rerouted(self.told):
            found |= bit(router)
        return found


class Shared(NamedTuple):
    """Framed messages for all sessions at a span but for those of the nodes in `moved`."""

    messages: bytes
    moved: View


class Deltas:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._memo: dict[tuple[Span, bool], Shared] = {}
        self._until = -1

    def for_viewer(self, viewer: int, span: Span, dirty: Dirty, coding: Coding) -> bytes:
        """The framed messages for one session; b"" when there is nothing to tell. Shared by all sessions at
        this span, but for those of which it would speak themselves."""
        if viewer in dirty.nodes:
            return self.make(span, dirty, coding, but=viewer)
        if span.until != self._until or len(self._memo) > MEMO_LIMIT:
            self._memo.clear()
            self._until = span.until
        key = (span, coding.is_compressed)
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = Shared(self.make(span, dirty, coding), span.moved)
        if found.moved >> viewer & 1:
            return self.make(span, dirty, coding, but=viewer)
        return found.messages

    def make(self, span: Span, dirty: Dirty, coding: Coding, but: int = 0) -> bytes:
        """Everything between the two outlooks, without the node `but`."""
        mask = ~bit(but) if but else -1
        view, told = span.now.view & mask, span.told.view & mask
        added, removed = view & ~told, told & ~view
        whole = set(members(added)) if added else set()
        if span.told is not span.now:
            whole.update(one for one in span.now.rerouted(span.told) if view >> one & 1)
            if span.told.shows_ipv4 != span.now.shows_ipv4:
                whole.update(members(view))
        hot: list[int] = []
        rare: list[int] = []
        for node_id, facts in dirty.nodes.items():
            if not view >> node_id & 1:
                continue
            is_new = bool(added >> node_id & 1) or bool(facts & _SIGHT)
            if facts & _WHOLE:
                whole.add(node_id)
            elif facts & _RARE and node_id not in whole:
                rare.append(node_id)
            # A client that never had a LastSeen drops the one in a whole node; a patch sets it.
            if facts & _HOT and not is_new:
                hot.append(node_id)
        messages = [
            self._whole(sorted(whole), list(members(removed)) if removed else [], span.now, coding),
            self._patches([self._peers.hot_patch(node_id) for node_id in sorted(hot)], coding),
            self._patches([self._peers.rare_patch(node_id) for node_id in sorted(rare)], coding),
        ]
        return b"".join(messages)

    def _whole(self, changed: list[int], removed: list[int], outlook: Outlook, coding: Coding) -> bytes:
        fields: list[bytes] = []
        if removed:
            fields.append(b'"PeersRemoved":' + fastjson.dumps(removed))
        if changed:
            owners = sorted({self._peers.owner(node_id) for node_id in changed})
            profiles = [self._peers.profile(owner) for owner in owners]
            fields.append(b'"UserProfiles":' + fastjson.dumps(profiles))
            nodes = b",".join([self._peers.node(node_id, outlook) for node_id in changed])
            fields.append(b'"PeersChanged":[' + nodes + b"]")
        return coding.message(b"{" + b",".join(fields) + b"}") if fields else b""

    def _patches(self, patches: list[dict[str, object]], coding: Coding) -> bytes:
        return coding.message(fastjson.dumps({"PeersChangedPatch": patches})) if patches else b""
