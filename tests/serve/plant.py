"""A control server without sockets or time: tunnels end in memory, and the clock moves when told.

plant = MemoryPlant()
client = plant.client(1)        a registered node's tunnel, Noise and HTTP/2 by tests/fake and `h2`
client.listen()
plant.run(60)                   a minute passes; everything due happens in order
client.messages()               decoded map messages since the last call
"""

from __future__ import annotations

import asyncio
import heapq
import json
import os
import struct
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import h2.config
import h2.connection
import h2.events
import h2.settings

from meshbox.config import Config
from meshbox.serve.assembly import Ground, Plant, assemble
from meshbox.serve.head import parse_head
from meshbox.wire.derpmap import DerpMap
from tests.fake.client import decode, upgrade_request
from tests.fake.noise import Initiator, Records, public_of
from tests.tailnet.build import NOW, make_key
from tests.tailnet.memory import MemoryStore

SERVER_KEY = bytes(range(32))


class Clock:
    """What the server uses of an event loop. Processor time costs nothing here."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.wall_offset = NOW - self.now
        self._order = count()
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def time(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_offset

    def call_soon(self, work: Callable[[], None]) -> None:
        self.call_later(0.0, work)

    def call_later(self, seconds: float, work: Callable[[], None]) -> None:
        heapq.heappush(self._due, (self.now + seconds, next(self._order), work))

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            at, _, work = heapq.heappop(self._due)
            self.now = max(self.now, at)
            work()
        self.now = until


class MemoryTransport:
    """Keeps what is written. With `room` set it says stop above so many bytes."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.is_open = True
        self.protocol: Any = None
        self.room: int | None = None

    def write(self, data: bytes) -> None:
        self.written += data
        if self.room is not None and len(self.written) > self.room:
            self.protocol.pause_writing()

    def take(self) -> bytes:
        data = bytes(self.written)
        self.written.clear()
        return data

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int = 0, low: int = 0) -> None:
        pass

    def is_closing(self) -> bool:
        return not self.is_open

    def abort(self) -> None:
        if self.is_open:
            self.is_open = False
            self.protocol.connection_lost(None)

    close = abort


class MemoryClient:
    def __init__(self, plant: MemoryPlant, number: int) -> None:
        self.plant, self.number = plant, number
        self.machine = bytes([number % 256, number // 256]) * 16
        self.node_key = f"nodekey:{number:064x}"
        self.hostname = f"n{number}"
        self.transport = MemoryTransport()
        self.bodies: dict[int, bytearray] = {}
        self.status = 0
        self.ended = False
        self.poll_id = 0
        self.buffer = bytearray()
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self._early = True
        self._open()

    def _open(self) -> None:
        initiator = Initiator(self.machine, os.urandom(32), public_of(SERVER_KEY), 142)
        head = parse_head(upgrade_request(initiator.initiation))
        assert head is not None
        transport = cast(asyncio.Transport, self.transport)
        self.plant.core.guard.admit(transport, f"192.0.2.{self.number % 250}", self.plant.clock.now)
        self.plant.control.upgrade(transport, head, b"")
        self.plant.clock.run(0)
        _, _, answer = self.transport.take().partition(b"\r\n\r\n")
        self.records = Records(*initiator.finish(answer[:51]))
        self.h2.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 20}
        )
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 30)
        self._read(answer[51:])
        self.flush()

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data and self.transport.is_open:
            self.transport.protocol.data_received(self.records.seal(data))

    def post(self, path: str, body: dict[str, Any]) -> int:
        stream_id: int = self.h2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "https"), (":authority", "ctl"), (":path", path)]
        self.h2.send_headers(stream_id, headers)
        self.h2.send_data(stream_id, json.dumps(body).encode(), end_stream=True)
        self.flush()
        self.plant.clock.run(0)
        self.read()
        return stream_id

    def register(self, key: str) -> None:
        self.post(
            "/machine/register",
            {
                "Version": 142,
                "NodeKey": self.node_key,
                "Auth": {"AuthKey": key},
                "Hostinfo": self._hostinfo(),
            },
        )
        assert self.status == 200, self.bodies

    def _hostinfo(self) -> dict[str, Any]:
        return {"Hostname": self.hostname, "OS": "linux"}

    def request(self, **fields: Any) -> dict[str, Any]:
        request = {"Version": 142, "NodeKey": self.node_key, "Hostinfo": self._hostinfo(), "Compress": "zstd"}
        return request | {"DiscoKey": f"discokey:{self.number + 1:064x}"} | fields

    def listen(self) -> None:
        self.ended = False
        self.poll_id = self.post("/machine/map", self.request(Stream=True))

    def report(self, port: int) -> None:
        endpoints = [f"203.0.113.5:{port}"]
        self.post("/machine/map", self.request(OmitPeers=True, Endpoints=endpoints))

    def read(self) -> None:
        self._read(self.transport.take())
        self.flush()

    def _read(self, data: bytes) -> None:
        plain = self.records.feed(data)
        if self._early and plain:
            plain = plain[9 + struct.unpack(">I", plain[5:9])[0] :]
            self._early = False
        for event in self.h2.receive_data(plain) if plain else ():
            if isinstance(event, h2.events.ResponseReceived):
                self.status = int(dict(event.headers)[":status"])
            elif isinstance(event, h2.events.DataReceived):
                self.bodies.setdefault(event.stream_id, bytearray()).extend(event.data)
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.ended = self.ended or event.stream_id == self.poll_id

    def messages(self) -> list[dict[str, Any]]:
        """The whole map messages that arrived since the last call."""
        self.read()
        found = []
        body = self.bodies.get(self.poll_id, bytearray())
        while len(body) >= 4:
            size = struct.unpack("<I", body[:4])[0]
            if len(body) < 4 + size:
                break
            found.append(decode(bytes(body[4 : 4 + size])))
            del body[: 4 + size]
        return found


class MemoryPlant:
    def __init__(self, config: Config | None = None) -> None:
        self.clock = Clock()
        ground = Ground(MemoryStore(), SERVER_KEY, DerpMap(()), self.clock.wall)
        loop = cast(asyncio.AbstractEventLoop, self.clock)
        self.plant: Plant = assemble(config or Config(server_url="http://ctl"), ground, loop)
        self.core, self.control, self.sessions = self.plant.core, self.plant.control, self.plant.sessions
        self.plant.pulse.start()
        self.key = make_key(self.core.tailnet, reusable=True)

    def client(self, number: int) -> MemoryClient:
        client = MemoryClient(self, number)
        client.register(self.key)
        return client

    def listening(self, number: int) -> MemoryClient:
        client = self.client(number)
        client.listen()
        return client

    def run(self, seconds: float) -> None:
        self.clock.run(seconds)
