"""A fake control client over real sockets: the upgrade, the tunnel, requests and map streams.

HTTP/2 is the `h2` library, Noise is tests/fake/noise.py. `Tunnel` is one connection; hostile tests
reach below it with `send_raw` (bytes on the wire) and `send_plain` (bytes inside the tunnel).
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
import os
import struct
from dataclasses import dataclass, field
from typing import Any

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import zstandard

from tests.fake.noise import Initiator, Records

CAPVER = 142
EARLY_MAGIC = b"\xff\xff\xffTS"
WINDOW = 4 * 1024 * 1024


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    error: str = ""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Stream:
    """One HTTP/2 stream as it comes in. `ended` is set by END_STREAM, a reset or the connection's end."""

    def __init__(self) -> None:
        self.answer = Answer()
        self.began = asyncio.Event()
        self.ended = asyncio.Event()
        self.arrived = asyncio.Event()
        self.buffer = bytearray()
        self.reading = True
        self.unread = 0

    def end(self, error: str = "") -> None:
        self.answer.error = self.answer.error or error
        self.began.set()
        self.ended.set()
        self.arrived.set()


def decode(payload: bytes, compressed: bool = True) -> Any:
    if compressed:
        reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(payload), read_across_frames=True)
        payload = reader.read()
    return json.loads(payload)


async def fetch_key(host: str, port: int) -> bytes:
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET /key?v={CAPVER} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    raw = await reader.read()
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    return bytes.fromhex(json.loads(body)["publicKey"].removeprefix("mkey:"))


class Tunnel:
    """One connection to /ts2021. Use `open`, then `request` and `map_stream`, then `close` or `drop`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.streams: dict[int, Stream] = {}
        self.early: Any = None
        self.goaway: tuple[int, str] | None = None
        self.closed = asyncio.Event()
        self._early_buffer: bytearray | None = bytearray()
        self._uploads: dict[int, memoryview] = {}
        self._task: asyncio.Task[None] | None = None
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        server_key: bytes,
        machine: bytes,
        version: int = CAPVER,
        source: str = "",
    ) -> Tunnel:
        """`source` may be any address of this machine, the whole loopback net included."""
        local = (source, 0) if source else None
        reader, writer = await asyncio.open_connection(host, port, limit=1 << 20, local_addr=local)
        initiator = Initiator(machine, os.urandom(32), server_key, version)
        writer.write(upgrade_request(initiator.initiation))
        return await cls.over(reader, writer, initiator)

    @classmethod
    async def over(
        cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, initiator: Initiator
    ) -> Tunnel:
        """The tunnel of a connection whose upgrade has been sent."""
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 101"):
            body = await reader.read(4096)
            writer.close()
            raise ConnectionError((head + body).decode())
        tunnel = cls(reader, writer)
        tx_key, rx_key = initiator.finish(await reader.readexactly(51))
        tunnel.records = Records(tx_key, rx_key)
        tunnel._start()
        return tunnel

    def _start(self) -> None:
        settings = {
            h2.settings.SettingCodes.ENABLE_PUSH: 0,
            h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: 10_485_760,
        }
        self.h2.local_settings = h2.settings.Settings(client=True, initial_values=settings)
        self.h2.initiate_connection()
        self.h2.increment_flow_control_window(1 << 30)
        self.flush()
        self._task = asyncio.create_task(self._read())

    # What a test sends

    def send_raw(self, data: bytes) -> None:
        self.writer.write(data)

    def send_plain(self, data: bytes) -> None:
        self.writer.write(self.records.seal(data))

    def flush(self) -> None:
        data = self.h2.data_to_send()
        if data:
            self.send_plain(data)

    def start(self, method: str, path: str, body: bytes | None = None, reading: bool = True) -> Stream:
        stream_id = self.h2.get_next_available_stream_id()
        stream = self.streams[stream_id] = Stream()
        stream.reading = reading
        headers = [(":method", method), (":scheme", "https"), (":authority", "ctl"), (":path", path)]
        headers += [("accept-encoding", "gzip"), ("user-agent", "Go-http-client/2.0")]
        if body is not None:
            headers.append(("content-length", str(len(body))))
        self.h2.send_headers(stream_id, headers, end_stream=body is None)
        if body is not None:
            self._uploads[stream_id] = memoryview(body)
            self._upload()
        self.flush()
        return stream

    def _upload(self) -> None:
        """Send of the bodies what the server's windows take."""
        for stream_id, rest in list(self._uploads.items()):
            while rest and (room := self.h2.local_flow_control_window(stream_id)) > 0:
                size = min(len(rest), room, 16_384)
                self.h2.send_data(stream_id, bytes(rest[:size]))
                rest = self._uploads[stream_id] = rest[size:]
            if not rest:
                self.h2.end_stream(stream_id)
                del self._uploads[stream_id]

    async def request(self, method: str, path: str, body: Any = None, within: float = 10.0) -> Answer:
        """A request and its whole answer. `body` is bytes, or anything JSON can say."""
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        stream = self.start(method, path, raw)
        await asyncio.wait_for(stream.ended.wait(), within)
        stream.answer.body = bytes(stream.buffer)
        return stream.answer

    async def map_stream(self, request: dict[str, Any], reading: bool = True) -> MapStream:
        """Open a map poll; raises ConnectionError with the server's text unless it answers 200."""
        stream = self.start("POST", "/machine/map", json.dumps(request).encode(), reading)
        await asyncio.wait_for(stream.began.wait(), 20)
        if stream.answer.status != 200:
            await asyncio.wait_for(stream.ended.wait(), 10)
            answer = stream.answer
            raise ConnectionError(f"{answer.status} {bytes(stream.buffer).decode()}{answer.error}")
        return MapStream(stream, request.get("Compress") == "zstd")

    def reset(self, stream: Stream) -> None:
        stream_id = next(number for number, known in self.streams.items() if known is stream)
        self._uploads.pop(stream_id, None)
        self.h2.reset_stream(stream_id, h2.errors.ErrorCodes.CANCEL)
        self.flush()

    async def close(self) -> None:
        self.drop()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()
        if self._task is not None:
            await asyncio.wait([self._task])

    def drop(self) -> None:
        """End the connection at once, as a phone that changes networks does not even do."""
        self.writer.transport.abort()
        # The reader notices a turn of the loop later, and nobody shall open a stream here until then.
        self.closed.set()

    # What comes in

    async def _read(self) -> None:
        try:
            while data := await self.reader.read(1 << 18):
                plain = self.records.feed(data)
                if self._early_buffer is not None:
                    plain = self._strip_early(plain)
                for event in self.h2.receive_data(plain) if plain else ():
                    self._take(event)
                self._upload()
                self.flush()
        except (ConnectionError, h2.exceptions.ProtocolError) as error:
            self._end_all(repr(error))
        finally:
            self._end_all("connection closed")
            self.closed.set()

    def _strip_early(self, plain: bytes) -> bytes:
        assert self._early_buffer is not None
        self._early_buffer += plain
        buffer = self._early_buffer
        if len(buffer) < 9:
            return b""
        if not buffer.startswith(EARLY_MAGIC):
            self._early_buffer = None
            return bytes(buffer)
        length = struct.unpack(">I", buffer[5:9])[0]
        if len(buffer) < 9 + length:
            return b""
        self.early = json.loads(buffer[9 : 9 + length])
        self._early_buffer = None
        return bytes(buffer[9 + length :])

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = (int(event.error_code or 0), (event.additional_data or b"").decode())
            return
        stream = self.streams.get(getattr(event, "stream_id", 0))
        if stream is None:
            return
        if isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            self._uploads.pop(event.stream_id or 0, None)
        if isinstance(event, h2.events.ResponseReceived):
            headers = {str(name): str(value) for name, value in event.headers}
            stream.answer.status = int(headers.pop(":status"))
            stream.answer.headers = headers
            stream.began.set()
        elif isinstance(event, h2.events.DataReceived):
            stream.buffer += event.data
            stream.arrived.set()
            if stream.reading:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            else:
                stream.unread += event.flow_controlled_length
        elif isinstance(event, h2.events.StreamEnded):
            stream.end()
        elif isinstance(event, h2.events.StreamReset):
            stream.end(f"reset {event.error_code}")

    def _end_all(self, why: str) -> None:
        for stream in self.streams.values():
            if not stream.ended.is_set():
                stream.end(why)


class MapStream:
    """The framed messages of a map poll. `bytes_in` counts payloads with their length prefix."""

    def __init__(self, stream: Stream, compressed: bool) -> None:
        self.stream = stream
        self.compressed = compressed
        self.bytes_in = 0

    async def next_raw(self, within: float | None = 10.0) -> bytes:
        """The next payload as it was sent. Raises EOFError when the stream has ended."""
        return await asyncio.wait_for(self._next_raw(), within)

    async def _next_raw(self) -> bytes:
        buffer = self.stream.buffer
        while True:
            if len(buffer) >= 4:
                size = struct.unpack("<I", buffer[:4])[0]
                if len(buffer) >= 4 + size:
                    payload = bytes(buffer[4 : 4 + size])
                    del buffer[: 4 + size]
                    self.bytes_in += 4 + size
                    return payload
            if self.stream.ended.is_set():
                raise EOFError(self.stream.answer.error or "the stream ended")
            self.stream.arrived.clear()
            await self.stream.arrived.wait()

    async def next(self, within: float | None = 10.0) -> dict[str, Any]:
        message: dict[str, Any] = decode(await self.next_raw(within), self.compressed)
        return message


def upgrade_request(initiation: bytes, host: str = "127.0.0.1", more: str = "") -> bytes:
    """`more` is further header lines, each with its line break."""
    handshake = base64.b64encode(initiation).decode()
    return (
        f"POST /ts2021 HTTP/1.1\r\nHost: {host}\r\nConnection: upgrade\r\n"
        f"Upgrade: tailscale-control-protocol\r\nX-Tailscale-Handshake: {handshake}\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    ).encode()
