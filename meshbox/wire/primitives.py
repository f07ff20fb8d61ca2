"""The two primitives of the Noise channel: X25519 and ChaCha20-Poly1305, from whichever library is faster.

`public_of` and `exchange` work on 32 raw bytes; `cipher(key)` gives an object with `encrypt` and
`decrypt` (nonce, data, associated data). Failures are NoiseError: an all-zero product (a peer that sent
a low-order point would make the "secret" public) and a tag that does not fit.

`cryptography` is the first choice, but old releases (38 in Debian 12, still 40; 43 in Debian 13 is fast)
seal a small record in 8 to 10 us where libsodium needs 4, so there the same functions come from PyNaCl.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import cryptography
import nacl.bindings as sodium
import nacl.exceptions
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from meshbox.errors import PeerError

FIRST_FAST_CRYPTOGRAPHY = 43

Exchange = Callable[[bytes, bytes], bytes]


class NoiseError(PeerError):
    """The cryptography does not fit: a wrong key, a forged or altered byte. Close without a word."""


class Cipher(Protocol):
    def encrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes: ...

    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes: ...


class SodiumCipher:
    """libsodium's AEAD with the methods of `ChaCha20Poly1305`; holds the key and nothing else."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def encrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
        sealed: bytes = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
            bytes(data), associated_data or b"", nonce, self._key
        )
        return sealed

    def decrypt(self, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
        try:
            plain: bytes = sodium.crypto_aead_chacha20poly1305_ietf_decrypt(
                bytes(data), associated_data or b"", nonce, self._key
            )
        except nacl.exceptions.CryptoError:
            raise InvalidTag from None
        return plain


def sodium_public_of(private: bytes) -> bytes:
    public: bytes = sodium.crypto_scalarmult_base(private)
    return public


def sodium_exchange(private: bytes, public: bytes) -> bytes:
    try:
        secret: bytes = sodium.crypto_scalarmult(private, public)
    except nacl.exceptions.CryptoError:
        raise NoiseError("the public key has a low order") from None
    return secret


def openssl_public_of(private: bytes) -> bytes:
    return (
        X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    )


def openssl_exchange(private: bytes, public: bytes) -> bytes:
    try:
        return X25519PrivateKey.from_private_bytes(private).exchange(
            X25519PublicKey.from_public_bytes(public)
        )
    except ValueError:
        raise NoiseError("the public key has a low order") from None


def _has_fast_cryptography() -> bool:
    return int(cryptography.__version__.split(".")[0]) >= FIRST_FAST_CRYPTOGRAPHY


if _has_fast_cryptography():
    public_of, exchange = openssl_public_of, openssl_exchange
else:
    public_of, exchange = sodium_public_of, sodium_exchange


def cipher(key: bytes) -> Cipher:
    """A cipher object of 2.3 KB: build one for a burst of records, let it go, keep the key."""
    return _Cipher(key)


_Cipher: type[ChaCha20Poly1305] | type[SodiumCipher] = (
    ChaCha20Poly1305 if _has_fast_cryptography() else SodiumCipher
)


def unseal(box: Cipher, nonce: bytes, data: bytes | memoryview, associated_data: bytes | None) -> bytes:
    """Decrypt, or NoiseError."""
    try:
        return box.decrypt(nonce, data, associated_data)
    except InvalidTag:
        raise NoiseError("a tag does not fit: a wrong key, or an altered byte") from None
