"""Header compression (RFC 7541) as a server inside the tunnel needs it.

Decoding is complete: static and dynamic table, size updates, Huffman. Encoding knows the static
table's names and literals only, so a connection keeps no encoder state. The server announces a
dynamic table of 0 bytes (see h2frames.OUR_SETTINGS): after it a client's headers leave nothing
behind in the decoder, where a full table would be the largest part of an idle connection. What
clients send before they have read that is stored, within the protocol's default size.

Malformed means the block cannot be decoded, TooLarge that it says too much; after either the two
ends disagree about the table, so the connection must end.
"""

from __future__ import annotations

from functools import lru_cache

from hpack.exceptions import HPACKDecodingError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from meshbox.errors import Malformed, TooLarge

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]

# HPACK bomb: one 4 KB entry of the dynamic table, named by thousands of one-byte references. Sizes
# are counted as RFC 7541 does, 32 bytes on top of each field.
HEADER_LIST_LIMIT = 16 * 1024
FIELD_OVERHEAD = 32
# The protocol's default. Larger size updates are refused: each byte is memory a stranger makes us hold.
TABLE_LIMIT = 4096
# Huffman decoding walks half a byte at a time in Python (16 KiB cost milliseconds); what clients say
# repeats, so short results are shared by all connections.
CACHED_STRINGS = 1024
CACHED_STRING_BYTES = 128
# An integer of more continuation bytes is no length or index of ours (RFC 7541 section 5.1 asks for a limit).
INTEGER_SHIFT_LIMIT = 21

STATIC: tuple[Field, ...] = tuple(HeaderTable.STATIC_TABLE)
STATIC_COUNT = len(STATIC)
_STATIC_NAMES = {name: index for index, (name, _) in reversed(list(enumerate(STATIC, 1)))}
_STATUS_INDEX = {int(value): index for index, (name, value) in enumerate(STATIC, 1) if name == b":status"}


class Decoder:
    """The receiving end of one connection's header compression."""

    __slots__ = ("_entries", "_limit", "_size")

    def __init__(self) -> None:
        self._entries: list[Field] | None = None
        self._size = 0
        self._limit = TABLE_LIMIT

    def decode(self, block: bytes) -> list[Field]:
        """The fields of one complete header block, in order."""
        try:
            return self._decode(block)
        except IndexError:
            raise Malformed("a header block ends in the middle of a field") from None

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at, end, size = 0, len(block), 0
        while at < end:
            first = block[at]
            if first & 0x80:
                index, at = _integer(block, at, 0x7F)
                field = self._field(index)
            elif first & 0x60 == 0x20:
                if fields:
                    raise Malformed("a table size update behind a field")
                limit, at = _integer(block, at, 0x1F)
                self._resize(limit)
                continue
            else:
                field, at = self._literal(block, at, first & 0x40)
            size += len(field[0]) + len(field[1]) + FIELD_OVERHEAD
            if size > HEADER_LIST_LIMIT:
                raise TooLarge(f"a header list of more than {HEADER_LIST_LIMIT} bytes")
            fields.append(field)
        return fields

    def _literal(self, block: bytes, at: int, is_indexed: int) -> tuple[Field, int]:
        index, at = _integer(block, at, 0x3F if is_indexed else 0x0F)
        if index:
            name = self._field(index)[0]
        else:
            name, at = _string(block, at)
        value, at = _string(block, at)
        field = (name, value)
        if is_indexed and self._limit:
            self._insert(field)
        return field, at

    def _field(self, index: int) -> Field:
        if 0 < index <= STATIC_COUNT:
            return STATIC[index - 1]
        entries = self._entries or ()
        back = index - STATIC_COUNT
        if not 0 < back <= len(entries):
            raise Malformed(f"there is no header field of index {index}")
        return entries[-back]

    def _insert(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + FIELD_OVERHEAD
        self._evict(self._limit - size)
        if size <= self._limit:
            self._entries = self._entries or []
            self._entries.append(field)
            self._size += size

    def _resize(self, limit: int) -> None:
        if limit > TABLE_LIMIT:
            raise Malformed(f"a header table of {limit} bytes")
        self._limit = limit
        self._evict(limit)

    def _evict(self, room: int) -> None:
        """Forget the oldest entries until at most `room` bytes are used."""
        entries = self._entries
        if not entries or self._size <= room:
            return
        gone = 0
        while self._size > room and gone < len(entries):
            name, value = entries[gone]
            self._size -= len(name) + len(value) + FIELD_OVERHEAD
            gone += 1
        self._entries = entries[gone:] or None


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while True:
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > INTEGER_SHIFT_LIMIT:
            raise Malformed("an integer without end in a header block")


def _string(block: bytes, at: int) -> tuple[bytes, int]:
    first = block[at]
    length = first & 0x7F
    if length == 0x7F:
        length, at = _integer(block, at, 0x7F)
    else:
        at += 1
    stop = at + length
    text = block[at:stop]
    if len(text) != length:
        raise Malformed("a header string runs past its block")
    if first & 0x80:
        text = _unpack_cached(text) if length <= CACHED_STRING_BYTES else _unpack(text)
    return text, stop


def _unpack(text: bytes) -> bytes:
    try:
        return bytes(decode_huffman(text))
    except (HPACKDecodingError, IndexError):
        raise Malformed("a header string is not valid Huffman code") from None


_unpack_cached = lru_cache(maxsize=CACHED_STRINGS)(_unpack)


@lru_cache(maxsize=256)
def encode(status: int, headers: Fields) -> bytes:
    """A response's header block: names in lower case, every value literal, nothing remembered."""
    index = _STATUS_INDEX.get(status)
    out = bytearray(_pack_integer(0x80, 0x7F, index) if index else _literal(b":status", b"%d" % status))
    for name, value in headers:
        out += _literal(name, value)
    return bytes(out)


def encode_length(length: int) -> bytes:
    """The field `content-length`, which differs too often to be kept with its block."""
    digits = b"%d" % length
    return b"\x0f\x0d%c%b" % (len(digits), digits)


def _literal(name: bytes, value: bytes) -> bytes:
    index = _STATIC_NAMES.get(name, 0)
    head = _pack_integer(0, 0x0F, index) if index else b"\0" + _pack_integer(0, 0x7F, len(name)) + name
    return head + _pack_integer(0, 0x7F, len(value)) + value


def _pack_integer(first: int, mask: int, value: int) -> bytes:
    if value < mask:
        return bytes([first | value])
    out = bytearray([first | mask])
    value -= mask
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
