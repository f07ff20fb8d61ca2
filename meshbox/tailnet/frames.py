"""Map messages on the wire: a length, then one or several zstd frames of one JSON document.

Source: controlclient/direct.go (decodeMsg) accepts a body of several concatenated frames, capability
version 49 and later. Frames are written without their content size: with it the client's decoder
grows its buffer once for each frame, which is quadratic.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import zstandard

_LENGTH = struct.Struct("<I")

_COMPRESSOR = zstandard.ZstdCompressor(level=1, write_content_size=False, write_checksum=False)


class Coding:
    """How pieces of JSON become pieces of a message body: compressed, or as they are (clients that
    ask for no compression: `tsp` and tests)."""

    __slots__ = ("is_compressed",)

    def __init__(self, is_compressed: bool) -> None:
        self.is_compressed = is_compressed

    def encode(self, json: bytes) -> bytes:
        if not self.is_compressed:
            return json
        # The copy matters: the compressor's result keeps a buffer three times its size.
        return bytes(memoryview(_COMPRESSOR.compress(json)))

    def message(self, json: bytes) -> bytes:
        """One whole framed message."""
        body = self.encode(json)
        return _LENGTH.pack(len(body)) + body


ZSTD = Coding(True)
PLAIN = Coding(False)


def join_pieces(pieces: Sequence[bytes]) -> list[bytes]:
    """A framed message of encoded pieces that stay what they are: shared, not copied."""
    return [_LENGTH.pack(sum(map(len, pieces))), *pieces]


KEEP_ALIVE_JSON = b'{"KeepAlive":true }'
"""With a blank. For exactly `{"KeepAlive":true}` a client remembers the compressed bytes in a buffer
it then reuses, and silently swallows every later message of the same length."""

KEEP_ALIVE = {coding.is_compressed: coding.message(KEEP_ALIVE_JSON) for coding in (ZSTD, PLAIN)}
