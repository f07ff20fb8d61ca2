"""The workers of one relay, as each of them sees the others.

A worker has a stream socket to every other one, made before they became processes. Packets for a key that
is connected elsewhere cross to its worker in runs, all of one turn of the event loop in one write. Worker 0
speaks for all of them: control pushes to it, and it adds up what they report.

They live and die together: a worker that lost another one ends, and the service manager starts all anew.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from typing import Any, cast

from meshbox.errors import PeerError
from meshbox.relay.queue import OVERHEAD, Run
from meshbox.relay.roster import decode
from meshbox.relay.sibling import Word, WordReader, numbered, read_numbered, read_run, run_pieces, word
from meshbox.serve.derp import DerpServer
from meshbox.serve.derpgate import Gate

BACKLOG_LIMIT = 8 * 1024 * 1024
"""Bytes that wait for another worker. Above it packets are dropped: it has more to do than it can."""

PATIENCE = 2.0
"""Seconds a report of another worker is waited for."""

Report = Callable[[str], Any]
"""What there is to report: "status", "clients" or "samples"; something JSON can say."""


class Sibling(asyncio.Protocol):
    """The way to one other worker; a Forwarder of the switch."""

    def __init__(self, hub: Siblings) -> None:
        self._hub = hub
        self._reader = WordReader()
        self._waiting: list[bytes | memoryview] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        for kind, body in self._reader.feed(data):
            self._hub.heard(self, kind, body)
        self._hub.relay.flush_soon()

    def connection_lost(self, exc: Exception | None) -> None:
        self._hub.lost(self)

    def forward(self, to: bytes, run: Run) -> None:
        if self._transport.get_write_buffer_size() > BACKLOG_LIMIT:
            size = len(run.frames) - run.packets * OVERHEAD
            self._hub.relay.switch.counters.drop("queue_tail", run.is_disco, run.packets, size)
            return
        self._put(*run_pieces(to, run))

    def say(self, text: bytes) -> None:
        self._put(text)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _put(self, *pieces: bytes | memoryview) -> None:
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting += pieces

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting and not self._transport.is_closing():
            self._transport.write(b"".join(waiting))


class Siblings:
    """`sockets` are the ways to the other workers. `on_lost()` is called when one of them is gone."""

    def __init__(self, relay: DerpServer, gate: Gate, report: Report, on_lost: Callable[[], None]) -> None:
        self.relay = relay
        self._gate = gate
        self._report = report
        self._on_lost = on_lost
        self._links: list[Sibling] = []
        self._asked: dict[int, tuple[asyncio.Future[None], list[Any]]] = {}
        self._number = 0
        self._is_closing = False

    async def open(self, sockets: list[socket.socket]) -> None:
        loop = asyncio.get_running_loop()
        for sock in sockets:
            sock.setblocking(False)
            _, link = await loop.create_unix_connection(lambda: Sibling(self), sock=sock)
            self._links.append(link)
        self.relay.switch.note_presence = self._note_presence

    def close(self) -> None:
        self._is_closing = True
        for link in self._links:
            link.close()

    def push(self, document: bytes) -> None:
        """Control told us who is admitted: pass it on."""
        for link in self._links:
            link.say(word(Word.PUSH, document))

    async def ask(self, what: str) -> list[Any]:
        """What the others report, as far as they answer in time."""
        if not self._links:
            return []
        self._number += 1
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answers: list[Any] = []
        self._asked[self._number] = (done, answers)
        for link in self._links:
            link.say(numbered(Word.ASK, self._number, what.encode()))
        try:
            await asyncio.wait_for(done, PATIENCE)
        except TimeoutError:
            pass  # What came is better than nothing; a worker that hangs is the watchdog's business.
        finally:
            del self._asked[self._number]
        return answers

    def heard(self, link: Sibling, kind: int, body: memoryview) -> None:
        switch = self.relay.switch
        match kind:
            case Word.RUN:
                to, run = read_run(body)
                switch.take_from_worker(to, run, self.relay.now())
            case Word.PRESENT:
                switch.yield_to(bytes(body), link, self.relay.now())
            case Word.GONE:
                switch.unlearn(bytes(body), link)
            case Word.PUSH:
                self._pushed(bytes(body))
            case Word.ASK:
                number, what = read_numbered(body)
                answer = json.dumps(self._report(what.decode())).encode()
                link.say(numbered(Word.ANSWER, number, answer))
            case Word.ANSWER:
                self._answered(*read_numbered(body))

    def lost(self, link: Sibling) -> None:
        self.relay.switch.lose(link)
        if not self._is_closing:
            self._on_lost()

    def _note_presence(self, key: bytes, is_here: bool) -> None:
        said = word(Word.PRESENT if is_here else Word.GONE, key)
        for link in self._links:
            link.say(said)

    def _pushed(self, document: bytes) -> None:
        try:
            self._gate.take(decode(document))
        except PeerError:
            # Worker 0 took it and we could not: better to start anew than to let the wrong ones in.
            self._on_lost()

    def _answered(self, number: int, text: bytes) -> None:
        asked = self._asked.get(number)
        if asked is None:
            return
        done, answers = asked
        answers.append(json.loads(text))
        if len(answers) == len(self._links) and not done.done():
            done.set_result(None)
