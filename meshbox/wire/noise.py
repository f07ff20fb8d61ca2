"""Noise IK as the control protocol speaks it: the handshake of both sides, and the record layer.

    initiation (101): u16 version | u8 1 | u16 96 | 32 client ephemeral | 48 sealed machine key | 16 tag
    response    (51): u8 2 | u16 48 | 32 server ephemeral | 16 tag
    error           : u8 3 | u16 length | text          plaintext, only instead of the response
    record          : u8 4 | u16 length | ciphertext    at most 4096 bytes, header included

All integers are big-endian, the record counter in the nonce too: standard Noise libraries count
little-endian, agree on record 0 and fail on record 1. Source: tailscale control/controlbase.

Malformed means the bytes are no initiation (the reference server answers those with an error
frame); NoiseError means the cryptography failed (it just closes). The handshake proves possession
of a machine key and nothing more: any key completes it.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass, field
from functools import lru_cache

from meshbox.errors import Malformed
from meshbox.wire.keys import KEY_BYTES, MachineKey
from meshbox.wire.primitives import NoiseError, cipher, exchange, public_of, unseal

__all__ = [
    "INITIATION_BYTES",
    "PLAINTEXT_LIMIT",
    "RESPONSE_BYTES",
    "Handshake",
    "Initiator",
    "NoiseError",
    "Records",
    "client_finish",
    "client_initiation",
    "error_frame",
    "public_of",
    "server_handshake",
]

NAME = b"Noise_IK_25519_ChaChaPoly_BLAKE2s"
PROLOGUE = b"Tailscale Control Protocol v"
INITIATION, RESPONSE, ERROR, RECORD = 1, 2, 3, 4
TAG_BYTES = 16
INITIATION_BYTES = 101
RESPONSE_BYTES = 51
HEADER_BYTES = 3
# A larger record is a fatal error at the official peer; for us it bounds what a stranger can make us
# buffer before one byte of his is proven.
RECORD_LIMIT = 4096
CIPHERTEXT_LIMIT = RECORD_LIMIT - HEADER_BYTES
PLAINTEXT_LIMIT = CIPHERTEXT_LIMIT - TAG_BYTES
# A counter that wrapped would use a nonce twice, which gives the plaintext away.
NONCE_LIMIT = 2**64 - 1
ZERO_NONCE = bytes(12)

_initiation_head = struct.Struct(">HBH")
_header = struct.Struct(">BH")
_nonce = struct.Struct(">4xQ")


@dataclass(frozen=True, slots=True)
class Handshake:
    """A finished handshake: whom we talk to, and the keys of both directions as this side sees them.

    `version` is the capability version the initiation carried; `response` is what the server sends
    (empty on the client's side); `transcript` is the final hash both sides share.
    """

    machine_key: MachineKey
    version: int
    response: bytes = field(repr=False)
    rx_key: bytes = field(repr=False)
    tx_key: bytes = field(repr=False)
    transcript: bytes = field(repr=False)


class Symmetric:
    """The running hash and chaining key of a handshake (Noise's SymmetricState)."""

    __slots__ = ("chain", "hash")

    def __init__(self, version: int, server_public: bytes) -> None:
        self.hash = self.chain = hashlib.blake2s(NAME).digest()
        self.mix_hash(PROLOGUE + str(version).encode())
        self.mix_hash(server_public)

    def mix_hash(self, data: bytes) -> None:
        self.hash = hashlib.blake2s(self.hash + data).digest()

    def mix_key(self, secret: bytes) -> bytes:
        """Stir a DH product in; the key returned may encrypt one item."""
        self.chain, key = derive(self.chain, secret)
        return key

    def seal(self, key: bytes, plaintext: bytes) -> bytes:
        sealed = cipher(key).encrypt(ZERO_NONCE, plaintext, self.hash)
        self.mix_hash(sealed)
        return sealed

    def unseal(self, key: bytes, sealed: bytes) -> bytes:
        plaintext = unseal(cipher(key), ZERO_NONCE, sealed, self.hash)
        self.mix_hash(sealed)
        return plaintext


def derive(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """HKDF over BLAKE2s with empty info, two outputs of 32 bytes."""
    seed = hmac.digest(salt, secret, "blake2s")
    first = hmac.digest(seed, b"\x01", "blake2s")
    return first, hmac.digest(seed, first + b"\x02", "blake2s")


@lru_cache(maxsize=4)
def _static_public(private: bytes) -> bytes:
    # A server has one static key; deriving its public half again would be a fifth of each handshake.
    return public_of(private)


def server_handshake(initiation: bytes, static_private: bytes, ephemeral_private: bytes) -> Handshake:
    """Answer an initiation. `ephemeral_private` is 32 fresh random bytes, for this call only.

    Raises Malformed for bytes that are no initiation, NoiseError when the cryptography does not fit.
    """
    version, ephemeral, sealed_machine, tag = _split_initiation(initiation)
    state = Symmetric(version, _static_public(static_private))
    state.mix_hash(ephemeral)
    machine = state.unseal(state.mix_key(exchange(static_private, ephemeral)), sealed_machine)
    state.unseal(state.mix_key(exchange(static_private, machine)), tag)
    own_ephemeral = public_of(ephemeral_private)
    state.mix_hash(own_ephemeral)
    state.mix_key(exchange(ephemeral_private, ephemeral))
    sealed = state.seal(state.mix_key(exchange(ephemeral_private, machine)), b"")
    response = _header.pack(RESPONSE, KEY_BYTES + TAG_BYTES) + own_ephemeral + sealed
    rx_key, tx_key = derive(state.chain, b"")
    return Handshake(MachineKey(machine), version, response, rx_key, tx_key, state.hash)


def _split_initiation(initiation: bytes) -> tuple[int, bytes, bytes, bytes]:
    if len(initiation) != INITIATION_BYTES:
        raise Malformed(f"a Noise initiation has {INITIATION_BYTES} bytes, this one has {len(initiation)}")
    # Whatever version arrived is mixed in; whether we serve it is decided behind the handshake,
    # where the client can be told in words.
    version, kind, length = _initiation_head.unpack_from(initiation)
    if kind != INITIATION:
        raise Malformed(f"a Noise initiation has type {INITIATION}, this one has {kind}")
    if length != INITIATION_BYTES - _initiation_head.size:
        raise Malformed("the Noise initiation carries a wrong length")
    return version, initiation[5:37], initiation[37:85], initiation[85:]


def error_frame(text: str) -> bytes:
    """The plaintext refusal that may stand where the response would."""
    sentence = text.encode()[: RECORD_LIMIT - HEADER_BYTES]
    return _header.pack(ERROR, len(sentence)) + sentence


@dataclass(slots=True)
class Initiator:
    """The client between its initiation and the server's answer."""

    state: Symmetric
    version: int
    server_public: bytes
    static_private: bytes = field(repr=False)
    ephemeral_private: bytes = field(repr=False)


def client_initiation(
    server_public: bytes, static_private: bytes, ephemeral_private: bytes, version: int
) -> tuple[bytes, Initiator]:
    """The client's first bytes, and what it must remember until the answer."""
    state = Symmetric(version, server_public)
    ephemeral = public_of(ephemeral_private)
    state.mix_hash(ephemeral)
    sealed = state.seal(state.mix_key(exchange(ephemeral_private, server_public)), public_of(static_private))
    tag = state.seal(state.mix_key(exchange(static_private, server_public)), b"")
    head = _initiation_head.pack(version, INITIATION, INITIATION_BYTES - _initiation_head.size)
    initiator = Initiator(state, version, server_public, static_private, ephemeral_private)
    return head + ephemeral + sealed + tag, initiator


def client_finish(initiator: Initiator, response: bytes) -> Handshake:
    """Check the server's answer. Raises Malformed, also for an error frame, whose text it repeats."""
    if response[:1] == bytes([ERROR]):
        raise Malformed(f"the server refused: {response[HEADER_BYTES:].decode(errors='replace')}")
    wanted = _header.pack(RESPONSE, KEY_BYTES + TAG_BYTES)
    if len(response) != RESPONSE_BYTES or response[:HEADER_BYTES] != wanted:
        raise Malformed("this is no Noise response")
    ephemeral, tag = response[3:35], response[35:]
    state = initiator.state
    state.mix_hash(ephemeral)
    state.mix_key(exchange(initiator.ephemeral_private, ephemeral))
    state.unseal(state.mix_key(exchange(initiator.static_private, ephemeral)), tag)
    tx_key, rx_key = derive(state.chain, b"")
    server = MachineKey(initiator.server_public)
    return Handshake(server, initiator.version, b"", rx_key, tx_key, state.hash)


class Records:
    """The record layer of one connection: `feed` opens what arrived, `seal` closes what leaves.

    An idle object is two keys and two counters: a cipher object (2.3 KB) is built for each burst,
    which costs about 1 us, because ten thousand idle sessions hold ten thousand of these.
    """

    __slots__ = ("_buffer", "_received", "_rx_key", "_sent", "_tx_key")

    def __init__(self, rx_key: bytes, tx_key: bytes) -> None:
        self._rx_key = rx_key
        self._tx_key = tx_key
        self._received = 0
        self._sent = 0
        self._buffer = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The plaintexts of all records that are complete now. Raises NoiseError: close, and feed no more."""
        if self._buffer:
            data = self._buffer + data
        if not self._rx_key:
            raise NoiseError("this connection failed before")
        try:
            plaintexts, end = self._open(data)
        except NoiseError:
            # Nothing is ever decrypted after a failure: the peer's bytes cannot be trusted any more.
            self._rx_key = self._buffer = b""
            raise
        self._buffer = data[end:]
        return plaintexts

    def _open(self, data: bytes) -> tuple[list[bytes], int]:
        plaintexts: list[bytes] = []
        at, end = 0, len(data)
        box = None
        while at < end:
            if data[at] != RECORD:
                raise NoiseError(f"a frame of type {data[at]} after the handshake")
            if end - at < HEADER_BYTES:
                break
            length = data[at + 1] << 8 | data[at + 2]
            if not TAG_BYTES <= length <= CIPHERTEXT_LIMIT:
                raise NoiseError(f"a record of {length} bytes")
            start, stop = at + HEADER_BYTES, at + HEADER_BYTES + length
            if stop > end:
                break
            if self._received >= NONCE_LIMIT:
                raise NoiseError("the peer has used up its nonces")
            box = box or cipher(self._rx_key)
            plaintexts.append(unseal(box, _nonce.pack(self._received), data[start:stop], None))
            self._received += 1
            at = stop
        return plaintexts, at

    def seal(self, plaintext: bytes | memoryview) -> bytes:
        """One or more records that carry the plaintext. Raises NoiseError when the nonces are used up."""
        length = len(plaintext)
        sent = self._sent
        count = -(-length // PLAINTEXT_LIMIT) or 1
        if sent + count > NONCE_LIMIT:
            raise NoiseError("we have used up our nonces")
        self._sent = sent + count
        box = cipher(self._tx_key)
        if count == 1:
            return _header.pack(RECORD, length + TAG_BYTES) + box.encrypt(_nonce.pack(sent), plaintext, None)
        view = memoryview(plaintext)
        out: list[bytes] = []
        for index in range(count):
            sealed = box.encrypt(
                _nonce.pack(sent + index), view[index * PLAINTEXT_LIMIT : (index + 1) * PLAINTEXT_LIMIT], None
            )
            out.append(_header.pack(RECORD, len(sealed)))
            out.append(sealed)
        return b"".join(out)
