"""What waits for one client: control frames, path discovery, data.

Packets wait as runs: consecutive frames from one sender in one piece, as they were read. While the
client takes what we write, a run waits until the end of the event loop's turn. When the client is
blocked, each lane keeps its newest DEPTH packets and drops from the head: a stale packet is worth less
than a fresh one, and discovery has a lane of its own because it must get through exactly when data
does not.
"""

from __future__ import annotations

from meshbox.wire.derp import HEADER, HEADER_BYTES
from meshbox.wire.keys import KEY_BYTES

DEPTH = 32
"""Packets per lane of a blocked client, as the official relay. Counted in packets: derpprobe keeps 30 of
64 KiB in flight and fails at the first one missing. So a slow reader costs at most 2 x 32 x 64 KiB."""

OVERHEAD = HEADER_BYTES + KEY_BYTES
"""Bytes of a packet's frame that are not the packet."""

Piece = bytes | memoryview


class Run:
    """Consecutive RecvPacket frames of one kind."""

    __slots__ = ("frames", "is_disco", "packets")

    def __init__(self, frames: Piece, packets: int, is_disco: bool) -> None:
        self.frames = frames
        self.packets = packets
        self.is_disco = is_disco


class Lane:
    """Runs of packets of one kind, oldest first. A run belongs to the lane it was pushed to."""

    __slots__ = ("packets", "runs", "size")

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.packets = 0
        self.size = 0

    def push(self, run: Run) -> None:
        self.runs.append(run)
        self.packets += run.packets
        self.size += len(run.frames)

    def pop(self) -> Run:
        run = self.runs.pop(0)
        self.packets -= run.packets
        self.size -= len(run.frames)
        return run

    def drop_oldest(self, keep: int) -> tuple[int, int]:
        """Drop from the head until `keep` packets are left; (packets, bytes of packets) dropped."""
        packets, size = self.packets, self.size
        while self.packets > keep:
            run = self.runs[0]
            surplus = self.packets - keep
            if surplus >= run.packets:
                self.pop()
                continue
            cut = _length_of(run.frames, surplus)
            run.frames = memoryview(run.frames)[cut:]
            run.packets -= surplus
            self.packets -= surplus
            self.size -= cut
        dropped = packets - self.packets
        return dropped, size - self.size - dropped * OVERHEAD


class Outbox:
    """The two lanes of a client, and its control frames, which go first. `pong` is the echo of the one
    ping that is still to be answered, `since` the time at which the oldest packet began to wait."""

    __slots__ = ("_control", "data", "disco", "pong", "since")

    def __init__(self) -> None:
        self._control: list[bytes] = []
        self.disco = Lane()
        self.data = Lane()
        self.pong = b""
        self.since = 0.0

    def __bool__(self) -> bool:
        """Does anything wait?"""
        return bool(self.data.runs or self.disco.runs or self._control or self.pong)

    @property
    def packets(self) -> int:
        return self.disco.packets + self.data.packets

    def push_control(self, frame: bytes) -> int:
        """Gives how many wait now."""
        self._control.append(frame)
        return len(self._control)

    def take_control(self) -> list[Piece]:
        frames: list[Piece] = list(self._control)
        self._control.clear()
        return frames

    def take_runs(self, limit: int) -> list[Run]:
        """The oldest runs, discovery first, until they have `limit` bytes or nothing is left."""
        runs: list[Run] = []
        size = 0
        for lane in (self.disco, self.data):
            while lane.runs and size < limit:
                run = lane.pop()
                runs.append(run)
                size += len(run.frames)
        return runs


def _length_of(run: Piece, packets: int) -> int:
    """Bytes of the first so many frames."""
    at = 0
    for _ in range(packets):
        at += HEADER_BYTES + int(HEADER.unpack_from(run, at)[1])
    return at
