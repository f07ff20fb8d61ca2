"""The switchboard: which key is connected where, and what goes to it.

Pure: it owns no socket and no clock. A connection is a Client here; its `link` is how to reach the
socket. Packets go to the active connection of a key; a packet for nobody is dropped, and only path
discovery is answered, because only that is a question ("are you there?").

`dirty` lists the clients that have something to be written. Whoever feeds the clients calls
`link.flush()` for each of them once per turn of its event loop.
"""

from __future__ import annotations

from collections.abc import Iterator

from meshbox.relay.client import FLUSH_AT, Client
from meshbox.relay.counters import Counters
from meshbox.relay.queue import DEPTH, OVERHEAD, Run
from meshbox.relay.twins import CLONE_WARNING, TWINS_LIMIT, Twins
from meshbox.wire.derp import GoneReason, health, peer_gone

SETTLE = 5.0
"""Seconds after connecting in which naming this relay home is no move (derpserver.go)."""


class Switch:
    """`active` has one connection per key, `twins` the sets of those keys that have several."""

    def __init__(self, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self.active: dict[bytes, Client] = {}
        self.twins: dict[bytes, Twins] = {}
        self.dirty: list[Client] = []
        self.connections = 0
        self.homes = 0
        # Who was ever delivered a packet of a key, and so may hold a route to it through us.
        self._watchers: dict[bytes, set[Client]] = {}

    @property
    def remote_count(self) -> int:
        """Keys that are connected to other relays of the region only."""
        return 0

    @property
    def watcher_count(self) -> int:
        """Relays that want to know who is connected here."""
        return 0

    def add(self, client: Client, now: float) -> None:
        """A client passed the door; from now on packets for its key go to it."""
        self.connections += 1
        self.counters.accepts += 1
        older = self.active.get(client.key)
        self.active[client.key] = client
        if older is None:
            return
        twins = older.twins
        if twins is None:
            twins = older.twins = self.twins[client.key] = Twins(older, now)
        twins.join(client)
        client.twins = twins
        self.counters.total_dup_client_conns += 1
        if len(twins) > TWINS_LIMIT:
            twins.oldest.link.close("too_many_connections")

    def remove(self, client: Client) -> None:
        """A connection ended. Removing it again does nothing."""
        if client.is_removed:
            return
        client.is_removed = True
        self.connections -= 1
        self.note_home(client, False, client.since)
        self._count_undelivered(client)
        for key in client.heard:
            self._watchers[key].discard(client)
        client.heard.clear()
        if client.twins is not None:
            self._remove_twin(client, client.twins)
        else:
            del self.active[client.key]
            self._tell_watchers(client.key)

    def connections_of(self, key: bytes) -> tuple[Client, ...]:
        twins = self.twins.get(key)
        if twins is not None:
            return tuple(twins)
        client = self.active.get(key)
        return () if client is None else (client,)

    def every_connection(self) -> Iterator[Client]:
        for key in list(self.active):
            yield from self.connections_of(key)

    def deliver(self, source: Client, to: bytes, run: Run, now: float) -> None:
        """Queue a run for the key `to`, or drop it."""
        target = self.active.get(to)
        if target is None:
            self._refuse(source, to, run, now)
            return
        if source.key not in target.heard:
            target.heard.add(source.key)
            self._watchers.setdefault(source.key, set()).add(target)
        outbox = target.outbox
        if not (outbox.data.runs or outbox.disco.runs):
            outbox.since = now
        lane = outbox.disco if run.is_disco else outbox.data
        lane.push(run)
        if not target.is_blocked:
            if lane.size < FLUSH_AT:
                self.wake(target)
                return
            target.link.flush()
        if lane.packets > DEPTH:
            dropped, size = lane.drop_oldest(DEPTH)
            self.counters.drop("queue_head", run.is_disco, dropped, size)

    def wake(self, client: Client) -> None:
        if not client.is_dirty:
            client.is_dirty = True
            self.dirty.append(client)

    def tell(self, client: Client, frame: bytes) -> None:
        client.outbox.push_control(frame)
        self.wake(client)

    def note_speech(self, client: Client, twins: Twins, now: float) -> None:
        """A frame came in on one of several connections of a key: it is the active one now."""
        if self.active[client.key] is client:
            return
        self.active[client.key] = client
        if twins.speak(client, now):
            self.counters.clone_warnings += 1
            for member in twins:
                self.tell(member, health(CLONE_WARNING))

    def note_home(self, client: Client, is_home: bool, now: float) -> None:
        if client.is_home is is_home:
            return
        client.is_home = is_home
        self.homes += 1 if is_home else -1
        if now - client.since > SETTLE:
            if is_home:
                self.counters.home_moves_in += 1
            else:
                self.counters.home_moves_out += 1

    def _refuse(self, source: Client, to: bytes, run: Run, now: float) -> None:
        size = len(run.frames) - run.packets * OVERHEAD
        self.counters.drop("unknown_dest", run.is_disco, run.packets, size)
        if not run.is_disco:
            return
        for _ in range(run.packets):
            if not source.may_be_told_gone(now):
                return
            self.counters.peer_gone_not_here_frames += 1
            self.tell(source, peer_gone(to, GoneReason.NOT_HERE))

    def _remove_twin(self, client: Client, twins: Twins) -> None:
        twins.leave(client)
        client.twins = None
        speaker = self.active[client.key] = twins.speaker
        if len(twins) > 1:
            return
        speaker.twins = None
        del self.twins[client.key]
        if twins.warned:
            self.tell(speaker, health(""))

    def _tell_watchers(self, key: bytes) -> None:
        for watcher in self._watchers.pop(key, ()):
            watcher.heard.discard(key)
            self.counters.peer_gone_disconnected_frames += 1
            self.tell(watcher, peer_gone(key, GoneReason.DISCONNECTED))

    def _count_undelivered(self, client: Client) -> None:
        for is_disco, lane in ((True, client.outbox.disco), (False, client.outbox.data)):
            packets, size = lane.drop_oldest(0)
            self.counters.drop("gone_disconnected", is_disco, packets, size)
