"""Who is online: a node with a live map session, and for a moment after its last one ended.

Sessions are counted, never "the last event wins": a client opens its new poll before the old
one's death is noticed, and a late clean-up of the old one must not mark the node offline. Each
session is a token that is released exactly once; releasing it again does nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from meshbox.tailnet.deadlines import Deadlines, Due


class Presence:
    """`silent` are nodes with a session that gave no sign of life when asked (routers.py).

    `came(node_id)` is called when a node has a session again, `went(node_id, now)` when its grace is
    over."""

    def __init__(
        self, deadlines: Deadlines, came: Callable[[int], None], went: Callable[[int, float], None]
    ) -> None:
        self._deadlines = deadlines
        self._came = came
        self._went = went
        self._sessions: dict[int, int] = {}
        self._counts: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._next_token = 1
        self.silent: set[int] = set()

    def is_online(self, node_id: int) -> bool:
        return node_id in self._counts or node_id in self._leaving

    def is_well(self, node_id: int) -> bool:
        """Online, and not silent when it was asked."""
        return node_id not in self.silent and self.is_online(node_id)

    def set_silent(self, node_id: int, is_silent: bool) -> bool:
        """Note whether the node answers; says whether that is news. A new session counts as answering."""
        if is_silent == (node_id in self.silent) or (is_silent and not self.is_online(node_id)):
            return False
        (self.silent.add if is_silent else self.silent.discard)(node_id)
        return True

    @property
    def session_count(self) -> int:
        return len(self._sessions)

    @property
    def online_count(self) -> int:
        return len(self._counts) + len(self._leaving)

    def enter(self, node_id: int) -> int:
        """A map session of the node began; returns the token to leave with."""
        token = self._next_token
        self._next_token += 1
        self._sessions[token] = node_id
        had_session = node_id in self._counts
        self._counts[node_id] = self._counts.get(node_id, 0) + 1
        self._leaving.discard(node_id)
        self._deadlines.cancel(Due.OFFLINE, node_id)
        if not had_session:
            self.silent.discard(node_id)
            # Said even within the grace: a peer that lost the node's path learns that it is back.
            self._came(node_id)
        return token

    def leave(self, token: int, now: float, grace: float) -> None:
        """The session ended. The node counts as online for `grace` seconds more."""
        node_id = self._sessions.pop(token, None)
        if node_id is None:
            return
        left = self._counts[node_id] - 1
        if left:
            self._counts[node_id] = left
            return
        del self._counts[node_id]
        self._leaving.add(node_id)
        self._deadlines.set(Due.OFFLINE, node_id, now + grace)

    def settle(self, node_id: int, now: float) -> None:
        """The grace is over."""
        if node_id in self._leaving:
            self._leaving.discard(node_id)
            self.silent.discard(node_id)
            self._went(node_id, now)

    def forget(self, node_id: int) -> None:
        """The node was deleted; its sessions, still open for a moment, no longer count for anybody."""
        self._leaving.discard(node_id)
        self.silent.discard(node_id)
        self._deadlines.cancel(Due.OFFLINE, node_id)
        if self._counts.pop(node_id, 0) == 0:
            return
        for token in [token for token, owner in self._sessions.items() if owner == node_id]:
            del self._sessions[token]
