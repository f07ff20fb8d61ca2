"""The client's half of the control protocol's Noise: IK initiator and record layer.

Written from the protocol text with `cryptography` and hashlib alone; shares nothing with meshbox/wire.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

NAME = b"Noise_IK_25519_ChaChaPoly_BLAKE2s"
ZERO_NONCE = bytes(12)
PIECE = 4077


def public_of(private: bytes) -> bytes:
    key = X25519PrivateKey.from_private_bytes(private).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def dh(private: bytes, public: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(public))


def mac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.blake2s).digest()


def hkdf(salt: bytes, ikm: bytes) -> tuple[bytes, bytes]:
    prk = mac(salt, ikm)
    first = mac(prk, b"\x01")
    return first, mac(prk, first + b"\x02")


class Initiator:
    """`initiation` first; `finish(response)` gives the two record keys (to the server, from it)."""

    def __init__(self, machine: bytes, ephemeral: bytes, server: bytes, version: int) -> None:
        self.machine, self.ephemeral, self.server = machine, ephemeral, server
        self.h = self.ck = hashlib.blake2s(NAME).digest()
        self._mix_hash(b"Tailscale Control Protocol v" + str(version).encode())
        self._mix_hash(server)
        ephemeral_public = public_of(ephemeral)
        self._mix_hash(ephemeral_public)
        sealed_machine = self._seal(self._mix_key(dh(ephemeral, server)), public_of(machine))
        tag = self._seal(self._mix_key(dh(machine, server)), b"")
        body = ephemeral_public + sealed_machine + tag
        self.initiation = struct.pack(">HBH", version, 1, len(body)) + body

    def finish(self, response: bytes) -> tuple[bytes, bytes]:
        kind, length = struct.unpack(">BH", response[:3])
        if kind == 3:
            raise ConnectionError(response[3:].decode())
        assert (kind, length) == (2, 48)
        server_ephemeral, tag = response[3:35], response[35:51]
        self._mix_hash(server_ephemeral)
        self._mix_key(dh(self.ephemeral, server_ephemeral))
        key = self._mix_key(dh(self.machine, server_ephemeral))
        ChaCha20Poly1305(key).decrypt(ZERO_NONCE, tag, self.h)
        return hkdf(self.ck, b"")

    def _mix_hash(self, data: bytes) -> None:
        self.h = hashlib.blake2s(self.h + data).digest()

    def _mix_key(self, secret: bytes) -> bytes:
        self.ck, key = hkdf(self.ck, secret)
        return key

    def _seal(self, key: bytes, plaintext: bytes) -> bytes:
        sealed = ChaCha20Poly1305(key).encrypt(ZERO_NONCE, plaintext, self.h)
        self._mix_hash(sealed)
        return sealed


class Records:
    """The record layer: `seal` and `feed` keep a 64-bit big-endian counter per direction."""

    def __init__(self, tx_key: bytes, rx_key: bytes) -> None:
        self.tx, self.rx = ChaCha20Poly1305(tx_key), ChaCha20Poly1305(rx_key)
        self.sent = self.received = 0
        self.buffer = bytearray()

    def seal(self, plaintext: bytes) -> bytes:
        out = bytearray()
        for start in range(0, max(len(plaintext), 1), PIECE):
            sealed = self.tx.encrypt(self._nonce(self.sent), plaintext[start : start + PIECE], None)
            self.sent += 1
            out += struct.pack(">BH", 4, len(sealed)) + sealed
        return bytes(out)

    def feed(self, data: bytes) -> bytes:
        self.buffer += data
        plain = bytearray()
        while len(self.buffer) >= 3:
            kind, length = struct.unpack(">BH", self.buffer[:3])
            assert kind == 4, f"record type {kind}"
            assert length <= 4093, "the server sent a record over 4096 bytes"
            if len(self.buffer) < 3 + length:
                break
            plain += self.rx.decrypt(self._nonce(self.received), bytes(self.buffer[3 : 3 + length]), None)
            self.received += 1
            del self.buffer[: 3 + length]
        return bytes(plain)

    @staticmethod
    def _nonce(count: int) -> bytes:
        return bytes(4) + count.to_bytes(8, "big")
