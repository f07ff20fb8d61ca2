"""The open map polls: their first map, what they are told afterwards, and when they are given up.

A session owns a stream of a tunnel and a Poll. It is told news only when its stream has no unsent
bytes: whatever happened meanwhile, the next message is made from present truth. So a slow client
holds at most one message here, and a dead one is found by bytes that nobody takes.

A node has one session. A new one replaces the old, on whatever connection: phones change networks
and leave the old connection behind, half dead.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from meshbox import log
from meshbox.serve.attempts import Attempts
from meshbox.serve.core import Core
from meshbox.tailnet.model import Node
from meshbox.tailnet.poll import Poll
from meshbox.wire.gojson import Json

if TYPE_CHECKING:
    from meshbox.serve.tunnel import Tunnel

KEEP_ALIVE_AFTER = 50
KEEP_ALIVE_SPREAD = 10
"""Seconds between keep-alives, at least, and how many more at random. Clients give up after 120 s of
silence, proxies often after 60."""

ANSWER_WITHIN = 25
"""Seconds a client has to answer the PING beside a keep-alive, by any byte at all: one with a slow line
and megabytes before it sends window updates meanwhile. A kernel, or a proxy in between, takes our bytes
for a client that hangs or lost its network. With the keep-alive's delay it ends within 90 seconds."""

RING = 64
"""One slot per second, more than the longest keep-alive delay."""

LARGE = 64 * 1024
"""Unsent bytes from which a first map counts as large."""

OPENING_LIMIT = 32
"""Large first maps on the way at once. Ten thousand of them, each made at another moment, would hold
2 MB each."""

OPENING_PATIENCE = 10.0
"""Seconds a large first map holds its place; a slow client must not keep others waiting."""

OPENS_PER_MINUTE = 20
BRAKE = 5.0
"""A node that opens more polls than this (two machines with one key, each replacing the other's at
once) waits this many seconds for each further first map."""

OK = ((b"content-type", b"application/json"),)


class Session:
    """One map poll. `tunnel` is None once it has ended."""

    __slots__ = ("is_blocked", "is_started", "node_id", "poll", "stream_id", "token", "tunnel")

    def __init__(self, tunnel: Tunnel, stream_id: int, poll: Poll, token: int) -> None:
        self.tunnel: Tunnel | None = tunnel
        self.stream_id = stream_id
        self.node_id = poll.node_id
        self.poll = poll
        self.token = token
        self.is_started = False
        self.is_blocked = False


class Sessions:
    """All of them. `left()` is called after a session ended: its node now has an offline deadline."""

    def __init__(self, core: Core, left: Callable[[], None]) -> None:
        self._core = core
        self._left = left
        self._by_node: dict[int, Session] = {}
        self._blocked: dict[Session, tuple[int, float]] = {}
        self._opening: dict[Session, float] = {}
        self._line: deque[Session] = deque()
        self._ring: list[list[Session]] = [[] for _ in range(RING)]
        self._asked: deque[tuple[int, Session]] = deque()
        self._second = 0
        self._opened = Attempts()

    def __len__(self) -> int:
        return len(self._by_node)

    @property
    def blocked_count(self) -> int:
        return len(self._blocked)

    def all(self) -> list[Session]:
        return list(self._by_node.values())

    # Life

    def open(self, tunnel: Tunnel, stream_id: int, node: Node, compress: str) -> None:
        """A node asks for its map and wants to be kept up to date."""
        core = self._core
        for old in (self._by_node.get(node.id), tunnel.session):
            if old is not None:
                self.end(old)
        token = core.tailnet.presence.enter(node.id)
        session = Session(tunnel, stream_id, Poll(core.mapper, node, compress), token)
        self._by_node[node.id] = tunnel.session = session
        if self.asks_too_often(node, tunnel.peer):
            core.later(BRAKE, lambda: self._enqueue(session))
        else:
            self._enqueue(session)

    def end(self, session: Session) -> None:
        """Give the session up: its stream ends, its node counts as gone after the grace. Ending it
        again does nothing."""
        tunnel = session.tunnel
        if tunnel is None:
            return
        core = self._core
        session.tunnel = None
        if tunnel.session is session:
            tunnel.session = None
        if self._by_node.get(session.node_id) is session:
            del self._by_node[session.node_id]
        self._blocked.pop(session, None)
        self._leave_opening(session)
        if session.is_started:
            tunnel.end_stream(session.stream_id)
        else:
            tunnel.answer(session.stream_id, 409, b"a newer map poll took the place of this one")
        t = core.tailnet
        t.presence.leave(session.token, core.wall(), t.settings.offline_grace)
        self._left()

    def asks_too_often(self, node: Node, peer: str) -> bool:
        """Count one more request of the node for its whole map."""
        if self._opened.note(node.id, self._core.steady()) <= OPENS_PER_MINUTE:
            return False
        log.emit_limited("map_poll_braked", node.name, node=node.name, peer_ip=peer)
        self._core.metrics.count("meshbox_refused_total", "map_poll_brake")
        return True

    # The first map

    def _enqueue(self, session: Session) -> None:
        self._line.append(session)
        self._core.turns.add(self._open_next)

    def _open_next(self) -> None:
        while self._line and len(self._opening) < OPENING_LIMIT:
            session = self._line.popleft()
            if session.tunnel is not None:
                self._start(session, session.tunnel)
                return

    def _start(self, session: Session, tunnel: Tunnel) -> None:
        session.is_started = True
        tunnel.h2.respond(session.stream_id, 200, OK, end=False)
        self._say(session, session.poll.first(self._core.wall()), "full")
        if session.poll.is_behind:
            # Shared pieces may lag by half a second; the next round tells the rest.
            self._core.tailnet.announce()
        if session.is_blocked and self._blocked[session][0] > LARGE:
            self._opening[session] = self._core.steady()

    def _leave_opening(self, session: Session) -> None:
        if self._opening.pop(session, None) is not None and self._line:
            self._core.turns.add(self._open_next)

    # News

    def tell(self, session: Session, now: float) -> bool:
        """Send the session what is new, unless it has not taken the last message yet."""
        if not session.is_started or session.is_blocked or session.tunnel is None:
            return False
        pieces = session.poll.next(now)
        if not pieces:
            return False
        self._say(session, pieces, "delta")
        if session.poll.is_over:
            self.end(session)
        return True

    def slip_in(self, node_id: int, fields: Json) -> bool:
        """Send a message of its own to a node's session; False when it has none that reads."""
        session = self._by_node.get(node_id)
        if session is None or not session.is_started or session.is_blocked:
            return False
        self._say(session, [session.poll.message(fields)], "ping")
        return True

    def drained(self, session: Session) -> None:
        """The tunnel wrote something: if nothing is left of the session's bytes, it hears the next news."""
        tunnel = session.tunnel
        if tunnel is None or tunnel.h2.pending(session.stream_id):
            return
        session.is_blocked = False
        self._blocked.pop(session, None)
        self._leave_opening(session)
        self.tell(session, self._core.wall())

    def _say(self, session: Session, pieces: Sequence[bytes], kind: str) -> None:
        tunnel = session.tunnel
        if tunnel is None:
            return
        tunnel.h2.queue(session.stream_id, pieces)
        tunnel.pump()
        self._core.metrics.count("meshbox_map_responses_total", kind)
        if kind == "full":
            self._arm(session)
        pending = tunnel.h2.pending(session.stream_id)
        if pending and session.tunnel is not None:
            session.is_blocked = True
            self._blocked[session] = (pending, self._core.steady())

    # Once a second

    def beat(self) -> None:
        now = self._core.steady()
        self._second += 1
        slot = self._second % RING
        due, self._ring[slot] = self._ring[slot], []
        for session in due:
            self._keep_alive(session)
        self._drop_silent()
        self._drop_stalled(now)
        self._free_places(now)

    def _arm(self, session: Session) -> None:
        delay = KEEP_ALIVE_AFTER + random.randrange(KEEP_ALIVE_SPREAD)
        self._ring[(self._second + delay) % RING].append(session)

    def _keep_alive(self, session: Session) -> None:
        if session.tunnel is None:
            return
        self._arm(session)
        if not session.is_blocked:
            session.tunnel.knock()
            self._asked.append((self._second, session))
            self._say(session, [session.poll.keep_alive()], "keepalive")

    def _drop_silent(self) -> None:
        # Counted in beats: when we are late ourselves, the answers lie unread in the kernel.
        while self._asked and self._second - self._asked[0][0] >= ANSWER_WITHIN:
            tunnel = self._asked.popleft()[1].tunnel
            if tunnel is not None and not tunnel.is_heard:
                self._core.metrics.count("meshbox_refused_total", "map_silent")
                log.emit_limited("map_silent", tunnel.peer, peer_ip=tunnel.peer, seconds=ANSWER_WITHIN)
                tunnel.abort()

    def _drop_stalled(self, now: float) -> None:
        core = self._core
        for session, (pending, since) in list(self._blocked.items()):
            tunnel = session.tunnel
            if tunnel is None:
                continue
            left = tunnel.h2.pending(session.stream_id)
            if left != pending:
                self._blocked[session] = (left, now)
            elif now - since > core.limits.map_stall_timeout:
                core.metrics.count("meshbox_refused_total", "map_stalled")
                log.emit_limited("map_stalled", tunnel.peer, peer_ip=tunnel.peer, bytes=left)
                tunnel.abort()

    def _free_places(self, now: float) -> None:
        overdue = [session for session, since in self._opening.items() if now - since > OPENING_PATIENCE]
        for session in overdue:
            del self._opening[session]
        for _ in range(min(len(self._line), OPENING_LIMIT)):
            self._core.turns.add(self._open_next)
