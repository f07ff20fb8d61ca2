"""A file that only the holder of a private key can open: the form of an encrypted backup.

    meshbox sealed 1\\n
    {...}\\n                       the label: JSON, readable for everybody, changed by nobody unnoticed
    80 bytes per recipient        the file's own key in a sealed box (X25519, libsodium crypto_box_seal)
    24 bytes                      header of the stream
    chunks of 65,553 bytes        64 KiB each, XChaCha20-Poly1305 (libsodium crypto_secretstream)
    last chunk, shorter or equal  marked as the last
    32 bytes                      SHA-256 of everything before

The stream authenticates content, order and end; the label and the sealed keys go into its first chunk as
associated data. The hash at the end tells a damaged file from a sound one without any key.

Anybody with the public key can make such a file: it proves nothing about who did.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.public import PrivateKey, PublicKey, SealedBox

from meshbox.errors import Malformed

MAGIC = b"meshbox sealed 1\n"
CHUNK = 64 * 1024
SEALED_CHUNK = CHUNK + bindings.crypto_secretstream_xchacha20poly1305_ABYTES
STREAM_HEADER = bindings.crypto_secretstream_xchacha20poly1305_HEADERBYTES
SEALED_KEY = 32 + bindings.crypto_box_SEALBYTES
HASH = 32

LABEL_LIMIT = 64 * 1024
"""Bytes of the label. It is read before anything is authenticated."""

RECIPIENTS_LIMIT = 16

Label = Mapping[str, Any]


def public_key_of(private: bytes) -> bytes:
    return bytes(PrivateKey(private).public_key)


def is_sealed(start: bytes) -> bool:
    return start.startswith(MAGIC)


class Sealer:
    """Feed it plain bytes, write what it gives; `entropy(n)` gives n unpredictable bytes."""

    def __init__(self, label: Label, recipients: Sequence[bytes], entropy: Callable[[int], bytes]) -> None:
        key = entropy(32)
        self._state = bindings.crypto_secretstream_xchacha20poly1305_state()
        stream = bindings.crypto_secretstream_xchacha20poly1305_init_push(self._state, key)
        text = json.dumps({**label, "recipients": len(recipients)}, sort_keys=True).encode()
        boxes = b"".join(SealedBox(PublicKey(one)).encrypt(key) for one in recipients)
        self._head = MAGIC + text + b"\n" + boxes
        self._associated = self._head
        self._plain = bytearray()
        self._hash = hashlib.sha256()
        self._start = self._head + stream

    def feed(self, data: bytes) -> bytes:
        self._plain += data
        out = bytearray(self._take_start())
        # The last chunk is marked, so one is kept back until it is known whether more comes.
        while len(self._plain) > CHUNK:
            out += self._seal(bytes(self._plain[:CHUNK]), is_last=False)
            del self._plain[:CHUNK]
        return self._hashed(bytes(out))

    def finish(self) -> bytes:
        rest = self._hashed(self._take_start() + self._seal(bytes(self._plain), is_last=True))
        return rest + self._hash.digest()

    def _take_start(self) -> bytes:
        start, self._start = self._start, b""
        return start

    def _seal(self, plain: bytes, is_last: bool) -> bytes:
        associated, self._associated = self._associated, b""
        tag = (
            bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL
            if is_last
            else bindings.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
        )
        return bindings.crypto_secretstream_xchacha20poly1305_push(
            self._state, plain, associated or None, tag
        )

    def _hashed(self, data: bytes) -> bytes:
        self._hash.update(data)
        return data


def read_label(start: bytes) -> tuple[Label, int]:
    """The label, and where the sealed keys begin. Raises Malformed."""
    if not is_sealed(start):
        raise Malformed("it is no sealed file")
    end = start.find(b"\n", len(MAGIC), len(MAGIC) + LABEL_LIMIT)
    try:
        label = json.loads(start[len(MAGIC) : end]) if end > 0 else None
    except (ValueError, RecursionError):
        label = None
    count = label.get("recipients") if isinstance(label, dict) else None
    if not isinstance(label, dict) or not isinstance(count, int) or not 0 < count <= RECIPIENTS_LIMIT:
        raise Malformed("its label is damaged")
    return label, end + 1


def opened(pieces: Iterator[bytes], private: bytes) -> Iterator[bytes]:
    """The plain bytes of a sealed file, each authenticated before it is given. `pieces` are the file's
    bytes in any portions. Raises Malformed: damaged, cut off, or sealed for others; what was given before
    was sound, but must not be used, since the end is missing."""
    reader = _Reader(pieces)
    reader.need(len(MAGIC) + LABEL_LIMIT, or_less=True)
    label, at = read_label(bytes(reader.buffer))
    count = int(label["recipients"])
    reader.need(at + count * SEALED_KEY + STREAM_HEADER)
    head = bytes(reader.take(at + count * SEALED_KEY))
    key = _file_key(head[at:], private)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, bytes(reader.take(STREAM_HEADER)), key)
    associated: bytes | None = head
    while True:
        # A whole chunk and the hash behind it, or all that is left.
        reader.need(SEALED_CHUNK + HASH + 1, or_less=True)
        is_last = len(reader.buffer) <= SEALED_CHUNK + HASH
        size = len(reader.buffer) - HASH if is_last else SEALED_CHUNK
        if size <= 0:
            raise Malformed("it is cut off")
        plain, tag = _pull(state, bytes(reader.take(size)), associated)
        associated = None
        if (tag == bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL) != is_last:
            raise Malformed("it is cut off" if is_last else "something was added to its end")
        yield plain
        if is_last:
            return


def _pull(state: Any, chunk: bytes, associated: bytes | None) -> tuple[bytes, int]:
    try:
        plain, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, chunk, associated)
    except (CryptoError, ValueError, TypeError):
        raise Malformed("it is damaged or was changed") from None
    return plain, tag


def _file_key(boxes: bytes, private: bytes) -> bytes:
    for at in range(0, len(boxes), SEALED_KEY):
        try:
            key: bytes = SealedBox(PrivateKey(private)).decrypt(boxes[at : at + SEALED_KEY])
        except CryptoError:
            continue
        if len(key) == 32:
            return key
    raise Malformed("it is sealed for another key")


class _Reader:
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.buffer = bytearray()

    def need(self, size: int, or_less: bool = False) -> None:
        while len(self.buffer) < size:
            piece = next(self._pieces, None)
            if piece is None:
                if or_less:
                    return
                raise Malformed("it is cut off")
            self.buffer += piece

    def take(self, size: int) -> bytearray:
        taken = self.buffer[:size]
        del self.buffer[:size]
        return taken


def is_whole(pieces: Iterator[bytes]) -> bool:
    """Whether the hash at the end is that of what stands before it. Needs no key."""
    digest, tail = hashlib.sha256(), b""
    for piece in pieces:
        tail += piece
        digest.update(tail[:-HASH])
        tail = tail[-HASH:]
    return hmac.compare_digest(digest.digest(), tail)
