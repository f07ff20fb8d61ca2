"""Our connections to the other relays of the region, by which we learn who is there and pass packets on.

To the other relay we are a client that knows the mesh key and asks to be told of everybody who comes and
goes (tailscale derp/derphttp, mesh_client.go). It has a connection of its own to us for the other direction.
A lost connection takes all it taught us along and is made again every RETRY. A relay that turns out to be
ourselves (all relays of a region may have one list of peers) is left alone for good.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from string import hexdigits

from meshbox import log
from meshbox.errors import Invalid, KeyFileError, Malformed
from meshbox.relay.admit import seal_client_info
from meshbox.relay.mesh import forward_frames
from meshbox.relay.queue import OVERHEAD, Run
from meshbox.serve.derp import DerpServer
from meshbox.wire.derp import MAGIC, Frame, FrameReader, FrameType, PresentFlags, encode, pong
from meshbox.wire.keys import KEY_BYTES, NodeKey

RETRY = 5.0
"""Seconds between attempts (mesh.go)."""

GREETING_DEADLINE = 10.0
SILENCE = 120.0
"""Seconds without a frame after which the other relay is gone; it says KeepAlive every 60."""

WRITE_LIMIT = 4 * 1024 * 1024
"""Bytes that wait for another relay. Above it, packets are dropped: it or the line to it is overloaded."""

READ_BYTES = 64 * 1024

PRESENT_BYTES = KEY_BYTES + 19
"""Key, address, port, flags; older relays say less."""

HTTPS_PORT = 443

_REQUEST = "GET /derp HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: DERP\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Peer:
    """Another relay. `dial` is where the TCP connection goes, `pin` the SHA-256 of its certificate or ""."""

    host: str
    port: int
    dial: str
    pin: str = ""


def parse_peer(text: str) -> Peer:
    """`host[:port][/dial][#sha256-raw:hex]`. Raises Invalid."""
    text, _, pin = text.partition("#")
    text, _, dial = text.partition("/")
    host, colon, port = text.rpartition(":") if not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(HTTPS_PORT)
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Invalid(f"mesh.peers: {text!r} is not host or host:port")
    return Peer(host, int(port), dial or host, pin.removeprefix("sha256-raw:").lower())


def read_mesh_key(path: Path) -> bytes:
    """64 hex digits, as derper's file has them. Raises KeyFileError."""
    try:
        with path.open() as file:
            digits = file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyFileError(f"{path}: cannot be used as the mesh key: {error}") from None
    if len(digits) != 2 * KEY_BYTES or not all(digit in hexdigits for digit in digits):
        raise KeyFileError(f"{path}: the mesh key wants 64 hex digits; openssl rand -hex 32 makes one")
    return bytes.fromhex(digits)


@dataclass(frozen=True, slots=True)
class MeshSelf:
    """What we are to the others."""

    private_key: bytes
    public_key: NodeKey
    mesh_key: bytes


class MeshLink:
    """One other relay; a Forwarder of the switch."""

    def __init__(self, relay: DerpServer, me: MeshSelf, peer: Peer) -> None:
        self.peer = peer
        self.is_up = False
        self._relay = relay
        self._switch = relay.switch
        self._me = me
        self._writer: asyncio.StreamWriter | None = None
        self._said = ""
        self._task = asyncio.ensure_future(self._keep())

    def close(self) -> None:
        self._task.cancel()

    def forward(self, to: bytes, run: Run) -> None:
        writer, counters = self._writer, self._switch.counters
        size = len(run.frames) - run.packets * OVERHEAD
        if writer is None or writer.is_closing():
            counters.drop("write_error", run.is_disco, run.packets, size)
        elif writer.transport.get_write_buffer_size() > WRITE_LIMIT:
            counters.drop("queue_tail", run.is_disco, run.packets, size)
        else:
            counters.packets_forwarded_out += run.packets
            writer.write(forward_frames(to, run))

    async def _keep(self) -> None:
        while True:
            reason = ""
            try:
                if not await self._run():
                    log.emit("mesh_is_self", address=self.peer.host)
                    return
            except (OSError, EOFError, TimeoutError, Malformed, asyncio.IncompleteReadError) as error:
                reason = str(error) or "it hung up"
            except ValueError as error:
                reason = f"it is no relay: {error}"
            finally:
                self._let_go()
            if reason != self._said:
                # Once for each trouble, not every five seconds.
                self._said = reason
                log.emit("mesh_peer_away", address=self.peer.host, reason=reason)
            await asyncio.sleep(RETRY)

    def _let_go(self) -> None:
        self.is_up = False
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None
        self._switch.lose(self)
        self._relay.flush_soon()

    async def _run(self) -> bool:
        """One connection to its end, which is an exception. False: the other relay is ourselves."""
        async with asyncio.timeout(GREETING_DEADLINE):
            reader, writer = await self._dial()
            self._writer = writer
            writer.write(_REQUEST.format(host=self.peer.host).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 101 "):
                raise Malformed(f"it answers {head[:60]!r} to the upgrade")
            frames = FrameReader()
            key = await self._server_key(reader, frames)
            if key == self._me.public_key:
                return False
            me = self._me
            hello = seal_client_info(me.private_key, key, me.mesh_key, os.urandom(24))
            writer.write(encode(FrameType.CLIENT_INFO, me.public_key, hello) + encode(FrameType.WATCH_CONNS))
        while True:
            async with asyncio.timeout(SILENCE):
                data = await reader.read(READ_BYTES)
            if not data:
                raise EOFError
            for frame in frames.feed(data):
                self._heard(frame, writer)
            self._relay.flush_soon()

    async def _dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        peer = self.peer
        context = ssl.create_default_context()
        if peer.pin:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        reader, writer = await asyncio.open_connection(
            peer.dial, peer.port, ssl=context, server_hostname=peer.host
        )
        if peer.pin:
            shown = writer.get_extra_info("ssl_object").getpeercert(True)
            if sha256(shown).hexdigest() != peer.pin:
                writer.transport.abort()
                raise Malformed("its certificate is not the pinned one")
        return reader, writer

    async def _server_key(self, reader: asyncio.StreamReader, frames: FrameReader) -> NodeKey:
        while True:
            data = await reader.read(READ_BYTES)
            if not data:
                raise EOFError
            for frame in frames.feed(data):
                if frame.kind != FrameType.SERVER_KEY or not frame.body.startswith(MAGIC):
                    raise Malformed("its first frame is not its key")
                return NodeKey(frame.body[len(MAGIC) : len(MAGIC) + KEY_BYTES])

    def _heard(self, frame: Frame, writer: asyncio.StreamWriter) -> None:
        key = frame.body[:KEY_BYTES]
        if frame.kind == FrameType.SERVER_INFO:
            self.is_up, self._said = True, ""
            log.emit("mesh_peer_joined", address=self.peer.host)
        elif frame.kind == FrameType.PEER_PRESENT and len(key) == KEY_BYTES:
            # Relays are clients of each other; nobody sends packets to one.
            flags = frame.body[-1] if len(frame.body) == PRESENT_BYTES else 0
            if not flags & PresentFlags.MESH_PEER:
                self._switch.learn(key, self)
        elif frame.kind == FrameType.PEER_GONE and len(key) == KEY_BYTES:
            self._switch.unlearn(key, self)
        elif frame.kind == FrameType.PING:
            writer.write(pong(frame.body[:8]))
