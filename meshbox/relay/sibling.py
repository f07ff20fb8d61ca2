"""What the workers of one relay say to each other, over stream sockets between processes of one kind.

    PRESENT, GONE   a key                            it spoke at the sender last; it left the sender
    RUN             key of the destination, count of packets, kind, RecvPacket frames as they are
    PUSH            a push of control                what worker 0 was told
    ASK, ANSWER     a number, text                   worker 0 collects what all have to report

A run crosses whole, with one header for all its packets, and is queued as it arrives. A frame is a byte of
type and four bytes of length, as everywhere in the relay.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct

from meshbox.relay.queue import Run
from meshbox.wire.derp import HEADER, HEADER_BYTES
from meshbox.wire.keys import KEY_BYTES


class Word(IntEnum):
    PRESENT = 0x81
    GONE = 0x82
    RUN = 0x83
    PUSH = 0x84
    ASK = 0x85
    ANSWER = 0x86


_RUN_HEAD = Struct(f">BI{KEY_BYTES}sI?")
_RUN_BODY = Struct(f">{KEY_BYTES}sI?")
_NUMBER = Struct(">I")


def word(kind: Word, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return HEADER.pack(kind, len(body)) + body


def run_pieces(to: bytes, run: Run) -> tuple[bytes, bytes | memoryview]:
    """Head and frames, to be written one after the other."""
    length = _RUN_BODY.size + len(run.frames)
    return _RUN_HEAD.pack(Word.RUN, length, to, run.packets, run.is_disco), run.frames


def read_run(body: memoryview) -> tuple[bytes, Run]:
    """(destination, run). The run's frames are the body's own memory."""
    to, packets, is_disco = _RUN_BODY.unpack_from(body)
    return to, Run(body[_RUN_BODY.size :], packets, is_disco)


def numbered(kind: Word, number: int, text: bytes) -> bytes:
    return word(kind, _NUMBER.pack(number), text)


def read_numbered(body: memoryview) -> tuple[int, bytes]:
    return int(_NUMBER.unpack_from(body)[0]), bytes(body[_NUMBER.size :])


class WordReader:
    """Bytes in, words out. A body is a view of what was fed and stays valid while it is held."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, memoryview]]:
        if self._tail:
            data, self._tail = self._tail + data, b""
        view, at = memoryview(data), 0
        while len(view) - at >= HEADER_BYTES:
            kind, length = HEADER.unpack_from(view, at)
            end = at + HEADER_BYTES + length
            if end > len(view):
                break
            yield kind, view[at + HEADER_BYTES : end]
            at = end
        self._tail = bytes(view[at:])
