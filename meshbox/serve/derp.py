"""The relay as a server: connections come from the front after their HTTP upgrade.

Who may use it is asked of `admit`, with the node key the client has proved; if the question fails,
the answer is no. Where the answer takes its time (another server is asked), `verify` gives it later, and
the client's frames wait. A client that shows `mesh_key` is another relay of the region: it is always
admitted, and no rate limits it. `cut` ends a node's connections when it loses the right. `proved` is told of
a connection whose client was admitted, so that it no longer counts as a stranger's.

One timer looks after handshakes, keep-alives and stalled clients; one call per turn of the event
loop writes what the turn has queued.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from meshbox import log
from meshbox.errors import Malformed
from meshbox.relay.admit import Hello, Identity
from meshbox.relay.budget import Bucket
from meshbox.relay.client import MAX_FRAME, Client
from meshbox.relay.switch import Switch
from meshbox.relay.wheel import Wheel
from meshbox.serve.derplink import BUFFER_BYTES, DerpLink
from meshbox.serve.head import RequestHead, short_answer
from meshbox.serve.websocket import Pipe
from meshbox.wire.derp import NONCE_BYTES, PROTOCOL_VERSION, PresentFlags, presence_of
from meshbox.wire.keys import NodeKey
from meshbox.wire.websocket import accept_upgrade

HANDSHAKE_DEADLINE = 10.0
"""Seconds from the upgrade to the client's hello (derpserver.go)."""

KEEP_ALIVE, KEEP_ALIVE_JITTER = 60.0, 5.0
"""Seconds. Clients give up after 120 without a frame; the jitter keeps them from one second of the minute."""

BEAT = 0.5
"""Seconds between looks at deadlines."""

BYTES_PER_SECOND = 64.0 * 1024 * 1024
"""What one client may send. Above it we stop reading, and TCP slows the client down: nothing is dropped."""

BURST_SECONDS = 0.25

UPGRADES = ("derp", "websocket")
SUBPROTOCOL = "derp"
"""`Upgrade: WebSocket` without this subprotocol is what very old clients say and then speak raw."""

SILENT_REASONS = ("cut", "refused", "shutdown")

Verify = Callable[[NodeKey, str], Awaitable[bool]]
"""(node key, address it came from) -> may it use this relay? Never raises."""


@dataclass(frozen=True, slots=True)
class DerpLimits:
    """`bytes_per_second` 0 is no limit."""

    bytes_per_second: float = BYTES_PER_SECOND


@dataclass(slots=True)
class LinkCounters:
    """What happens to connections; what happens to packets is counted by the switch."""

    refused: int = 0
    malformed: int = 0
    handshake_timeouts: int = 0
    sclient_write_timeouts: int = 0
    websocket_accepts: int = 0


class DerpServer:
    """`switch` knows who is connected and counts packets; `counters` are about connections."""

    def __init__(
        self,
        private_key: bytes,
        admit: Callable[[bytes], bool],
        proved: Callable[[asyncio.Transport], None] = lambda transport: None,
        limits: DerpLimits | None = None,
        verify: Verify | None = None,
        mesh_key: bytes | None = None,
    ) -> None:
        self.identity = Identity(private_key)
        self.switch = Switch()
        self.counters = LinkCounters()
        self.view = memoryview(bytearray(BUFFER_BYTES))
        self.blocked: set[DerpLink] = set()
        self._admit = admit
        self._verify = verify
        self._mesh_key = mesh_key
        self._questions: set[asyncio.Task[None]] = set()
        self._proved = proved
        self._limits = limits or DerpLimits()
        self._shaking: dict[DerpLink, float] = {}
        self._keep_alives: Wheel[DerpLink] = Wheel()
        self._beat: asyncio.TimerHandle | None = None
        self._flush_is_due = False
        self._accepted_answer = (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n"
            b"Derp-Version: %d\r\nDerp-Public-Key: %s\r\n\r\n"
            % (PROTOCOL_VERSION, self.identity.public.hex().encode())
        )

    def upgrade(self, transport: asyncio.Transport, head: RequestHead, leftover: bytes) -> None:
        """The front hands over a connection that asked for /derp."""
        refusal = _refusal(head)
        if refusal is not None:
            transport.write(refusal)
            transport.close()
            return
        # Fast start: the client already speaks DERP and would read an HTTP answer as a frame.
        is_fast = head.headers.get("derp-fast-start") == "1"
        greeting = self.identity.greeting if is_fast else self._accepted_answer + self.identity.greeting
        is_not_ideal = bool(head.headers.get("ideal-node"))
        if _is_websocket(head):
            transport.write(accept_upgrade(head.headers, SUBPROTOCOL))
            pipe = Pipe(transport)
            self.counters.websocket_accepts += 1
            link = DerpLink(self, pipe, head.peer, is_not_ideal)
            transport.set_protocol(pipe)
            self._begin(link, self.identity.greeting, b"")
            if leftover:
                pipe.data_received(leftover)
            return
        self._begin(DerpLink(self, transport, head.peer, is_not_ideal), greeting, leftover)

    def _begin(self, link: DerpLink, greeting: bytes, leftover: bytes) -> None:
        self._shaking[link] = self.now() + HANDSHAKE_DEADLINE
        self._arm()
        link.start(greeting, leftover)

    def welcome(self, link: DerpLink, client_info: bytes) -> Client | None:
        """A client said hello: its place at the switchboard, or None if it has none or has to wait for
        it. Raises Malformed."""
        hello = self.identity.open_client_info(client_info)
        if self._is_mesh(hello):
            return self._seat(link, hello, PresentFlags.MESH_PEER)
        if self._verify is not None:
            link.wait()
            question = asyncio.ensure_future(self._ask(self._verify, link, hello))
            self._questions.add(question)
            question.add_done_callback(self._questions.discard)
            return None
        if not self._is_admitted(hello.key):
            self._refuse(link, hello)
            return None
        return self._seat(link, hello)

    def cut(self, node_key: bytes) -> int:
        """End a node's connections; gives how many there were."""
        clients = self.switch.connections_of(node_key)
        for client in clients:
            client.link.close("cut")
            self.switch.remove(client)
        self.flush_soon()
        return len(clients)

    def recheck(self) -> int:
        """Ask again for everybody, and cut those that are no longer admitted."""
        return sum(self.cut(key) for key in list(self.switch.active) if not self._is_admitted(NodeKey(key)))

    def close(self) -> None:
        """End all connections. Clients come back by themselves, with a delay of their own."""
        for link in [*self._shaking, *(client.link for client in self.switch.every_connection())]:
            link.close("shutdown")
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None

    # -- for the links

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def later(self, seconds: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(seconds, callback)

    def flush_soon(self) -> None:
        """Write what this turn of the loop queues, once, at its end."""
        if self.switch.dirty and not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def note_closed(self, link: DerpLink, why: str) -> None:
        if why not in SILENT_REASONS:
            log.emit_limited("derp_client_dropped", link.peer, peer_ip=link.peer, why=why)

    def forget(self, link: DerpLink) -> None:
        self._shaking.pop(link, None)
        self._keep_alives.remove(link)
        self.blocked.discard(link)
        if link.client is not None:
            self.switch.remove(link.client)
            self.flush_soon()

    # -- inside

    async def _ask(self, verify: Verify, link: DerpLink, hello: Hello) -> None:
        is_admitted = await verify(hello.key, link.peer)
        if link.transport.is_closing():
            return
        if is_admitted:
            link.proceed(self._seat(link, hello))
        else:
            self._refuse(link, hello)

    def _refuse(self, link: DerpLink, hello: Hello) -> None:
        self.counters.refused += 1
        log.emit_limited("derp_client_refused", link.peer, node=hello.key.short, peer_ip=link.peer)
        link.close("refused")

    def _is_mesh(self, hello: Hello) -> bool:
        if self._mesh_key is None or hello.mesh_key is None:
            return False
        return hmac.compare_digest(self._mesh_key, hello.mesh_key)

    def _seat(self, link: DerpLink, hello: Hello, flags: int = 0) -> Client:
        now = self.now()
        budget = None if flags & PresentFlags.MESH_PEER else self._budget(now)
        presence = _presence(link, hello, flags)
        client = Client(hello.key, link, self.switch, budget, now, presence)
        self._shaking.pop(link, None)
        self.switch.add(client, now)
        # Before anything else: a prober takes any other frame here for a fault.
        link.send(self.identity.server_info(hello, os.urandom(NONCE_BYTES)))
        self._schedule_keep_alive(link, now)
        transport = link.transport
        self._proved(transport.outer if isinstance(transport, Pipe) else transport)
        return client

    def _is_admitted(self, key: NodeKey) -> bool:
        try:
            return self._admit(key)
        except Exception as error:
            log.emit_limited("derp_admission_failed", "", err=repr(error))
            return False

    def _budget(self, now: float) -> Bucket | None:
        rate = self._limits.bytes_per_second
        if not rate:
            return None
        return Bucket(rate, max(rate * BURST_SECONDS, MAX_FRAME), now)

    def _flush(self) -> None:
        self._flush_is_due = False
        dirty, self.switch.dirty = self.switch.dirty, []
        for client in dirty:
            client.is_dirty = False
            client.link.flush()

    def _schedule_keep_alive(self, link: DerpLink, now: float) -> None:
        self._keep_alives.add(link, now + KEEP_ALIVE + random.uniform(0, KEEP_ALIVE_JITTER))

    def _arm(self) -> None:
        if self._beat is None:
            self._beat = self.later(BEAT, self._on_beat)

    def _on_beat(self) -> None:
        self._beat = None
        now = self.now()
        self._end_slow_handshakes(now)
        self._end_stalled(now)
        self._send_keep_alives(now)
        if self._shaking or self._keep_alives:
            self._arm()

    def _end_slow_handshakes(self, now: float) -> None:
        for link in list(_overdue(self._shaking, now)):
            self.counters.handshake_timeouts += 1
            self._shaking.pop(link, None)
            link.close("no hello in time")

    def _end_stalled(self, now: float) -> None:
        for link in [link for link in self.blocked if link.is_stalled(now)]:
            self.counters.sclient_write_timeouts += 1
            link.close("reads nothing")

    def _send_keep_alives(self, now: float) -> None:
        for link in self._keep_alives.turn(now):
            link.keep_alive()
            self._schedule_keep_alive(link, now)


def _presence(link: DerpLink, hello: Hello, flags: int) -> bytes:
    flags |= PresentFlags.PROBER if hello.is_prober else 0
    flags |= PresentFlags.NOT_IDEAL if link.is_not_ideal else 0
    peername = link.transport.get_extra_info("peername")
    port = int(peername[1]) if isinstance(peername, tuple) and len(peername) > 1 else 0
    return presence_of(link.peer, port, flags or PresentFlags.REGULAR)


def _overdue(deadlines: dict[DerpLink, float], now: float) -> Iterator[DerpLink]:
    """All have the same patience, so they are in the order of their deadlines."""
    for link, deadline in deadlines.items():
        if deadline > now:
            return
        yield link


def _is_websocket(head: RequestHead) -> bool:
    wanted = head.headers.get("upgrade", "").lower()
    return wanted == "websocket" and head.has_token("sec-websocket-protocol", SUBPROTOCOL)


def _refusal(head: RequestHead) -> bytes | None:
    if head.method != "GET" or head.headers.get("upgrade", "").lower() not in UPGRADES:
        return short_answer(426, "DERP requires connection upgrade", [("Upgrade", "DERP")])
    if _is_websocket(head):
        try:
            accept_upgrade(head.headers, SUBPROTOCOL)
        except Malformed as error:
            return short_answer(400, str(error))
    return None
