"""A switchboard with clients whose sockets are lists."""

from __future__ import annotations

from hashlib import sha256

from meshbox.relay.budget import Bucket
from meshbox.relay.client import SLACK, Client
from meshbox.relay.switch import Switch
from meshbox.wire.derp import DISCO_MAGIC, Frame, FrameReader, FrameType, encode
from meshbox.wire.keys import NodeKey

BIG = 1 << 30


def key_of(name: str) -> NodeKey:
    return NodeKey(sha256(name.encode()).digest())


def send(to: bytes, packet: bytes) -> bytes:
    return encode(FrameType.SEND_PACKET, to, packet)


def disco(text: bytes = b"") -> bytes:
    return DISCO_MAGIC + bytes(56) + text


class Socket:
    """A Link. While `takes` is true it reads all it gets; `freeze` is a window of zero."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.reader = FrameReader()
        self.frames: list[Frame] = []
        self.rests: list[float] = []
        self.closed = ""
        self.now = 0.0

    def flush(self) -> None:
        assert self.client is not None
        while self.client.outbox and not self.client.is_blocked:
            for piece in self.client.take(BIG, self.now):
                self.frames += self.reader.feed(piece)

    def rest(self, seconds: float) -> None:
        self.rests.append(seconds)

    def close(self, why: str) -> None:
        self.closed = why

    def packets(self) -> list[tuple[bytes, bytes]]:
        """(source, packet) of every packet that came."""
        return [(f.body[:32], f.body[32:]) for f in self.frames if f.kind == FrameType.RECV_PACKET]

    def of(self, kind: FrameType) -> list[bytes]:
        return [frame.body for frame in self.frames if frame.kind == kind]


class Board:
    """`say(client, bytes)` is a read of the event loop; `turn()` the end of its turn."""

    def __init__(self) -> None:
        self.switch = Switch()
        self.now = 1000.0
        self.tails: dict[Client, bytes] = {}

    def join(self, name: str, budget: Bucket | None = None) -> tuple[Client, Socket]:
        socket = Socket()
        client = Client(key_of(name), socket, self.switch, budget, self.now)
        socket.client = client
        self.switch.add(client, self.now)
        return client, socket

    def say(self, client: Client, data: bytes) -> int:
        """Feed bytes as a socket would: what is not taken comes again in front of the next. Gives how
        many bytes wait."""
        buffer = bytearray(self.tails.pop(client, b"") + data)
        for each in self.switch.every_connection():
            assert isinstance(each.link, Socket)
            each.link.now = self.now
        end = len(buffer)
        view = memoryview(buffer + bytes(SLACK))
        used = client.receive(view, end, self.now)
        self.tails[client] = bytes(view[used:end])
        return end - used

    def leave(self, client: Client) -> None:
        self.switch.remove(client)

    def turn(self) -> None:
        dirty, self.switch.dirty = self.switch.dirty, []
        for client in dirty:
            client.is_dirty = False
            assert isinstance(client.link, Socket)
            client.link.now = self.now
            client.link.flush()

    def dropped(self, reason: str) -> int:
        return sum(drops.packets for (why, _), drops in self.switch.counters.dropped.items() if why == reason)
