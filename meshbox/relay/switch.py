"""The switchboard: which key is connected where, and what goes to it.

Pure: it owns no socket and no clock. A connection is a Client here; its `link` is how to reach the
socket. Packets go to the active connection of a key, or to another relay of the region that has it; a
packet for nobody is dropped, and only path discovery is answered, because only that is a question ("are you
there?").

`dirty` lists the clients that have something to be written. Whoever feeds the clients calls
`link.flush()` for each of them once per turn of its event loop. A single packet for a client that was quiet
does not wait for that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from meshbox.relay.client import FLUSH_AT, Client
from meshbox.relay.counters import Counters, DropReason
from meshbox.relay.mesh import Elsewhere, Forwarder
from meshbox.relay.queue import DEPTH, OVERHEAD, Run
from meshbox.relay.twins import CLONE_WARNING, TWINS_LIMIT, Twins
from meshbox.wire.derp import HEADER_BYTES, GoneReason, health, peer_gone, peer_present

SETTLE = 5.0
"""Seconds after connecting in which naming this relay home is no move (derpserver.go)."""


QUIET = 0.001
"""Seconds since the last write to a client after which a packet is written at once. Before that it waits for
the end of the turn, so that what many senders send to one client goes out together."""

CONTROL_LIMIT, MESH_CONTROL_LIMIT = 10_000, 1_000_000
"""Control frames that wait for one client. Peers that come and go must not fill our memory through one that
reads nothing; another relay is told of everybody at once and gets more room."""


class Switch:
    """`active` has one connection per key, `twins` the sets of those keys that have several.

    One relay may be several switches (workers), each with a part of its clients. A key is active at the
    worker where it spoke last; at the others it is `yielded`. `note_presence(key, is_here)` is told what the
    other workers have to know.
    """

    def __init__(self, counters: Counters | None = None) -> None:
        self.counters = counters or Counters()
        self.active: dict[bytes, Client] = {}
        self.yielded: dict[bytes, Client] = {}
        self.twins: dict[bytes, Twins] = {}
        self.note_presence: Callable[[bytes, bool], None] = _nobody_to_tell
        self.dirty: list[Client] = []
        self.connections = 0
        self.homes = 0
        # Who was ever delivered a packet of a key, and so may hold a route to it through us.
        self._watchers: dict[bytes, set[Client]] = {}
        # Relays that want to know who is connected here, and who is connected there.
        self._observers: dict[Client, None] = {}
        self._elsewhere = Elsewhere()

    @property
    def remote_count(self) -> int:
        """Keys that are connected to other relays of the region only."""
        return sum(key not in self.active for key in self._elsewhere)

    @property
    def watcher_count(self) -> int:
        """Relays that want to know who is connected here."""
        return len(self._observers)

    def add(self, client: Client, now: float) -> None:
        """A client passed the door; from now on packets for its key go to it."""
        self.connections += 1
        self.counters.accepts += 1
        older = self.active.get(client.key) or self.yielded.pop(client.key, None)
        self.active[client.key] = client
        self.note_presence(client.key, True)
        for observer in self._observers:
            self.tell(observer, peer_present(client.key, client.presence))
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
        self._observers.pop(client, None)
        if client.twins is not None:
            self._remove_twin(client, client.twins)
            return
        del self.active[client.key]
        self._gone_here(client.key)

    def connections_of(self, key: bytes) -> tuple[Client, ...]:
        twins = self.twins.get(key)
        if twins is not None:
            return tuple(twins)
        client = self.active.get(key)
        return () if client is None else (client,)

    def every_connection(self) -> Iterator[Client]:
        for key in [*self.active, *self.yielded]:
            yield from self.connections_of(key)

    def deliver(self, source: Client, to: bytes, run: Run, now: float) -> None:
        """Queue a run for the key `to`, or drop it."""
        target = self.active.get(to)
        if target is not None:
            self._queue(source.key, target, run, now)
            return
        way = self._elsewhere.way_to(to)
        if way is not None:
            way.forward(to, run)
        else:
            self._refuse(source, to, run, now)

    # Other relays of the region

    def watch(self, observer: Client) -> None:
        """Another relay wants to know who is here, from now on."""
        self._observers[observer] = None
        for client in list(self.active.values()):
            self.tell(observer, peer_present(client.key, client.presence))

    def close_peer(self, key: bytes) -> None:
        """Another relay wants this client to choose anew."""
        for client in self.connections_of(key):
            client.link.close("closed by a relay of the region")

    def take_forwarded(self, relay: Client, source: bytes, to: bytes, run: Run, now: float) -> None:
        """Another relay passed on a run for one of our clients."""
        self.counters.packets_forwarded_in += run.packets
        target = self.active.get(to)
        if target is not None:
            self._queue(source, target, run, now)
        else:
            self._refuse(relay, to, run, now, "unknown_dest_on_fwd")

    def learn(self, key: bytes, way: Forwarder) -> None:
        """The key is connected at the other end of that way."""
        self._elsewhere.add(key, way)

    def unlearn(self, key: bytes, way: Forwarder) -> None:
        if self._elsewhere.remove(key, way):
            self._gone_elsewhere(key)

    def lose(self, way: Forwarder) -> None:
        """There is no connection to that relay any more."""
        for key in self._elsewhere.lose(way):
            self._gone_elsewhere(key)

    # Other workers of this relay

    def yield_to(self, key: bytes, way: Forwarder, now: float) -> None:
        """The key spoke at another worker: packets for it go there until it speaks here again."""
        self._elsewhere.add(key, way)
        client = self.active.pop(key, None)
        if client is None:
            return
        if client.twins is None:
            client.twins = self.twins[key] = Twins(client, now)
        self.yielded[key] = client

    def take_from_worker(self, to: bytes, run: Run, now: float) -> None:
        """Another worker passed on a run for one of our clients."""
        target = self.active.get(to) or self.yielded.get(to)
        size = len(run.frames) - run.packets * OVERHEAD
        if target is None:
            self.counters.drop("unknown_dest", run.is_disco, run.packets, size)
        else:
            self._queue(bytes(run.frames[HEADER_BYTES:OVERHEAD]), target, run, now)

    # Inside

    def _queue(self, source: bytes, target: Client, run: Run, now: float) -> None:
        if source not in target.heard:
            target.heard.add(source)
            self._watchers.setdefault(source, set()).add(target)
        outbox = target.outbox
        is_first, waited = not (outbox.data.runs or outbox.disco.runs), now - outbox.since
        if is_first:
            outbox.since = now
        lane = outbox.disco if run.is_disco else outbox.data
        lane.push(run)
        if is_first and waited > QUIET and not target.is_blocked:
            # Nothing to join it with: another turn of the event loop would only cost time.
            target.link.flush()
            return
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
        waiting = client.outbox.push_control(frame)
        self.wake(client)
        if waiting > (MESH_CONTROL_LIMIT if client.is_mesh else CONTROL_LIMIT):
            client.link.close("reads nothing")

    def note_speech(self, client: Client, twins: Twins, now: float) -> None:
        """A frame came in on one of several connections of a key: it is the active one now."""
        if self.active.get(client.key) is client:
            return
        self.active[client.key] = client
        if self.yielded.pop(client.key, None) is not None:
            self.note_presence(client.key, True)
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

    def _refuse(
        self, source: Client, to: bytes, run: Run, now: float, reason: DropReason = "unknown_dest"
    ) -> None:
        size = len(run.frames) - run.packets * OVERHEAD
        self.counters.drop(reason, run.is_disco, run.packets, size)
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
        here = self.yielded if client.key in self.yielded else self.active
        if not len(twins):
            del here[client.key], self.twins[client.key]
            self._gone_here(client.key)
            return
        speaker = here[client.key] = twins.speaker
        if len(twins) > 1 or here is self.yielded:
            return
        speaker.twins = None
        del self.twins[client.key]
        if twins.warned:
            self.tell(speaker, health(""))

    def _gone_here(self, key: bytes) -> None:
        self.note_presence(key, False)
        for observer in self._observers:
            self.tell(observer, peer_gone(key, GoneReason.DISCONNECTED))
        if key not in self._elsewhere:
            self._tell_watchers(key)

    def _gone_elsewhere(self, key: bytes) -> None:
        client = self.yielded.pop(key, None)
        if client is not None:
            self.active[key] = client
        elif key not in self.active:
            self._tell_watchers(key)

    def _tell_watchers(self, key: bytes) -> None:
        for watcher in self._watchers.pop(key, ()):
            watcher.heard.discard(key)
            self.counters.peer_gone_disconnected_frames += 1
            self.tell(watcher, peer_gone(key, GoneReason.DISCONNECTED))

    def _count_undelivered(self, client: Client) -> None:
        for is_disco, lane in ((True, client.outbox.disco), (False, client.outbox.data)):
            packets, size = lane.drop_oldest(0)
            self.counters.drop("gone_disconnected", is_disco, packets, size)


def _nobody_to_tell(key: bytes, is_here: bool) -> None:
    """A relay without workers."""
