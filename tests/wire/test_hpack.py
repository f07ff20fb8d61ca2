"""Header compression: round trips against the hpack library, then blocks made to hurt."""

from __future__ import annotations

import hpack as library
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshbox.errors import Malformed, PeerError, TooLarge
from meshbox.wire import hpack
from meshbox.wire.hpack import Decoder

NAMES = st.sampled_from([b":path", b"content-length", b"ts-lb", b"user-agent", b"x-a", b"accept-encoding"])
VALUES = st.one_of(st.sampled_from([b"", b"gzip", b"/machine/map", b"x" * 300]), st.binary(max_size=40))
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=12)
# A table size to announce first, whether to use Huffman, and the fields.
BLOCKS = st.lists(st.tuples(st.sampled_from([None, 0, 64, 200, 4096]), st.booleans(), FIELDS), max_size=6)


@given(BLOCKS)
@settings(max_examples=150, deadline=None)
def test_blocks_of_the_library_are_understood_with_its_dynamic_table(
    blocks: list[tuple[int | None, bool, list[tuple[bytes, bytes]]]],
) -> None:
    encoder, decoder = library.Encoder(), Decoder()
    for size, huffman, fields in blocks:
        if size is not None:
            encoder.header_table_size = size
        assert decoder.decode(encoder.encode(fields, huffman=huffman)) == fields


@given(st.integers(100, 599), FIELDS)
def test_our_blocks_are_understood_by_the_library(status: int, fields: list[tuple[bytes, bytes]]) -> None:
    fields = [field for field in fields if not field[0].startswith(b":")]
    block = hpack.encode(status, tuple(fields)) + hpack.encode_length(12345)
    decoded = library.Decoder().decode(block, raw=True)
    expected = [(b":status", b"%d" % status), *fields, (b"content-length", b"12345")]
    assert [tuple(field) for field in decoded] == expected


@pytest.mark.parametrize("length", [0, 1, 126, 127, 128, 255, 300, 16000])
def test_strings_of_every_length_class_round_trip(length: int) -> None:
    field = (b"x-" + b"n" * length, b"v" * length)
    if sum(map(len, field)) + 32 > hpack.HEADER_LIST_LIMIT:
        field = (b"x-n", b"v" * length)
    assert Decoder().decode(hpack.encode(200, (field,)))[1] == field


@given(st.binary(max_size=120))
@settings(max_examples=400, deadline=None)
def test_arbitrary_blocks_decode_or_are_refused(block: bytes) -> None:
    decoder = Decoder()
    for _ in range(2):
        try:
            decoder.decode(block)
        except PeerError:
            break


@pytest.mark.parametrize(
    "block",
    [
        "80",  # index 0
        "be",  # the dynamic table is empty
        "ff",  # an index without its end
        "ffffffffffff01",  # an integer without end
        "3fe21f",  # a table of 4097 bytes
        "8220",  # a size update behind a field
        "00",  # a literal without a name
        "000161",  # ... without a value
        "0003616100",  # a string that runs past the block
        "0081ff00",  # Huffman: eight ones are no padding
        "008400000000",  # Huffman: padding of zeros
    ],
)
def test_broken_blocks_are_malformed(block: str) -> None:
    with pytest.raises(Malformed):
        Decoder().decode(bytes.fromhex(block))


def test_a_bomb_of_references_stops_at_the_list_limit() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a" + b"\x7f\x80\x1e" + b"x" * 3967)
    with pytest.raises(TooLarge):
        decoder.decode(b"\xbe" * 10_000)


def test_a_header_list_may_be_as_long_as_its_limit() -> None:
    room = hpack.HEADER_LIST_LIMIT - 32 - 1
    block = b"\0\x01a" + hpack._pack_integer(0, 0x7F, room)
    assert Decoder().decode(block + b"x" * room) == [(b"a", b"x" * room)]
    block = b"\0\x02ab" + hpack._pack_integer(0, 0x7F, room)
    with pytest.raises(TooLarge):
        Decoder().decode(block + b"x" * room)


def test_the_table_never_holds_more_than_it_may() -> None:
    decoder = Decoder()
    for number in range(1000):
        decoder.decode(b"\x40\x04%04d\x01v" % number)
        entries = decoder._entries or []
        assert sum(len(name) + len(value) + 32 for name, value in entries) == decoder._size <= 4096
    assert decoder.decode(b"\xbe") == [(b"0999", b"v")]
    # An entry larger than the table empties it and is not kept.
    decoder.decode(b"\x40\x01a" + b"\x7f\x81\x1f" + b"x" * 4096)
    assert decoder._entries is None
    with pytest.raises(Malformed):
        decoder.decode(b"\xbe")


def test_a_table_of_no_bytes_keeps_nothing() -> None:
    decoder = Decoder()
    decoder.decode(b"\x40\x01a\x01b")
    assert decoder.decode(b"\x20\x40\x01c\x01d") == [(b"c", b"d")]
    assert decoder._entries is None


def test_long_strings_are_not_shared() -> None:
    before = hpack._unpack_cached.cache_info()
    text = library.huffman.HuffmanEncoder(
        library.huffman_constants.REQUEST_CODES, library.huffman_constants.REQUEST_CODES_LENGTH
    ).encode(b"q" * 400)
    block = b"\x00\x01a" + hpack._pack_integer(0x80, 0x7F, len(text)) + text
    assert Decoder().decode(block) == [(b"a", b"q" * 400)]
    after = hpack._unpack_cached.cache_info()
    assert (after.hits, after.misses) == (before.hits, before.misses)
