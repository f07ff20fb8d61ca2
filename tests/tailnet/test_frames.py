from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from meshbox.tailnet.frames import KEEP_ALIVE, KEEP_ALIVE_JSON, PLAIN, ZSTD, join_pieces
from tests.tailnet.memory import inflate


@given(st.lists(st.binary(max_size=400), min_size=1, max_size=8))
def test_pieces_are_one_document(parts: list[bytes]) -> None:
    for coding, read in ((ZSTD, inflate), (PLAIN, bytes)):
        framed = b"".join(join_pieces([coding.encode(part) for part in parts]))
        (length,) = struct.unpack_from("<I", framed)
        assert length == len(framed) - 4
        assert read(framed[4:]) == b"".join(parts)


def test_frames_declare_no_content_size() -> None:
    # Bits 7 and 6 of the frame header descriptor are the size field's, bit 5 single-segment.
    descriptor = ZSTD.encode(b"x" * 1000)[4]
    assert descriptor & 0b1110_0000 == 0


def test_the_keep_alive_is_not_the_text_that_arms_the_clients_trap() -> None:
    assert KEEP_ALIVE_JSON != b'{"KeepAlive":true}'
    assert inflate(KEEP_ALIVE[True][4:]) == KEEP_ALIVE[False][4:] == KEEP_ALIVE_JSON
