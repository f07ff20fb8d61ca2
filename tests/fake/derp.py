"""A fake relay client over real sockets, with the official client's habits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import ssl
from dataclasses import dataclass, field
from typing import Any

from nacl.public import Box, PrivateKey, PublicKey

from meshbox.wire.derp import DISCO_MAGIC, Frame, FrameReader, FrameType, encode

REQUEST = "GET /derp HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n"


@dataclass(frozen=True)
class Way:
    """How to reach a relay. `fast` starts without waiting for an HTTP answer, as with a metacert; `name` is
    asked for in TLS."""

    port: int
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None
    fast: bool = False
    name: str | None = None


@dataclass
class DerpClient:
    key: PrivateKey
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    server_key: bytes
    info: dict[str, Any] = field(default_factory=dict)
    frames: FrameReader = field(default_factory=FrameReader)
    waiting: list[Frame] = field(default_factory=list)

    @property
    def public(self) -> bytes:
        return bytes(self.key.public_key)

    @classmethod
    async def connect(cls, way: Way, key: PrivateKey | None = None, extra: bytes = b"") -> DerpClient:
        """Up to and including ServerInfo; `extra` frames go out right behind ClientInfo. Raises EOFError
        if the relay hangs up."""
        key = key or PrivateKey(os.urandom(32))
        client = await cls.knock(way, key)
        client.writer.write(client.hello() + extra)
        frame = await client.next()
        assert frame.kind == FrameType.SERVER_INFO, frame
        client.info = json.loads(Box(key, PublicKey(client.server_key)).decrypt(frame.body))
        return client

    @classmethod
    async def knock(cls, way: Way, key: PrivateKey) -> DerpClient:
        """Up to and including ServerKey."""
        reader, writer = await asyncio.open_connection(
            way.host, way.port, ssl=way.tls, server_hostname=way.name if way.tls else None
        )
        client = cls(key, reader, writer, b"")
        writer.write((REQUEST + ("Derp-Fast-Start: 1\r\n" if way.fast else "") + "\r\n").encode())
        if not way.fast:
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 101 "), answer
        greeting = await client.next()
        assert greeting.kind == FrameType.SERVER_KEY, greeting
        client.server_key = greeting.body[8:]
        return client

    def hello(self, **more: Any) -> bytes:
        text = json.dumps({"version": 2, "CanAckPings": True, **more}).encode()
        box = Box(self.key, PublicKey(self.server_key)).encrypt(text)
        return encode(FrameType.CLIENT_INFO, self.public, bytes(box))

    def send(self, to: bytes, packet: bytes) -> None:
        self.writer.write(encode(FrameType.SEND_PACKET, to, packet))

    def disco(self, to: bytes) -> None:
        self.send(to, DISCO_MAGIC + bytes(56))

    async def next(self) -> Frame:
        """The next frame. Raises EOFError at the end of the connection."""
        while not self.waiting:
            try:
                data = await self.reader.read(65_536)
            except ConnectionError:
                data = b""
            if not data:
                raise EOFError
            self.waiting += self.frames.feed(data)
        return self.waiting.pop(0)

    async def packet(self) -> tuple[bytes, bytes]:
        """(source, packet) of the next frame, which is one."""
        frame = await self.next()
        assert frame.kind == FrameType.RECV_PACKET, frame
        return frame.body[:32], frame.body[32:]

    async def is_alive(self) -> bool:
        """Does the relay answer a ping? What else arrives meanwhile is forgotten."""
        self.writer.write(encode(FrameType.PING, b"are you?"))
        with contextlib.suppress(EOFError):
            while True:
                if (await self.next()).kind == FrameType.PONG:
                    return True
        return False

    async def wait_closed(self) -> None:
        """Until the relay hangs up."""
        with contextlib.suppress(EOFError):
            while True:
                await self.next()

    def close(self) -> None:
        self.writer.transport.abort()
