"""The certificate that is none: it tells a client the relay's key inside the TLS handshake.

A client that finds it at the end of the chain (TLS 1.3 only) knows the DERP key before it asked and
starts speaking at once, which saves a round trip. Its subject and issuer are `derpkey` and 64 hex
digits, its serial number the protocol version (derpserver.go initMetacert). Basic constraints must be
there for macOS, both dates for Windows, key identifiers must not be: derpprobe takes a
certificate that has them for a real one and reports its expiry.

Written byte by byte, because libraries refuse a common name of more than 64 characters.
"""

from __future__ import annotations

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from meshbox.wire.derp import PROTOCOL_VERSION
from meshbox.wire.keys import NodeKey

LIFE = 30 * 86_400.0
"""Seconds before and after now. Mint it anew well before."""

NAME_PREFIX = "derpkey"

_INTEGER, _BIT_STRING, _OCTET_STRING, _OID, _UTF8, _UTC_TIME = 0x02, 0x03, 0x04, 0x06, 0x0C, 0x17
_SEQUENCE, _SET, _TAG_0, _TAG_3, _BOOLEAN = 0x30, 0x31, 0xA0, 0xA3, 0x01
_ED25519 = bytes.fromhex("2b6570")
_COMMON_NAME = bytes.fromhex("550403")
_BASIC_CONSTRAINTS = bytes.fromhex("551d13")


def metacert(relay_key: NodeKey, signer: Ed25519PrivateKey, now: float) -> bytes:
    """The certificate (DER) for the relay's public key. `signer` is any fresh key."""
    algorithm = _der(_SEQUENCE, _der(_OID, _ED25519))
    name = _name(NAME_PREFIX + relay_key.hex())
    body = _der(
        _SEQUENCE,
        _der(_TAG_0, _der(_INTEGER, b"\x02")),
        _der(_INTEGER, bytes([PROTOCOL_VERSION])),
        algorithm,
        name,
        _der(_SEQUENCE, _utc(now - LIFE), _utc(now + LIFE)),
        name,
        signer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        _der(_TAG_3, _der(_SEQUENCE, _no_authority())),
    )
    return _der(_SEQUENCE, body, algorithm, _der(_BIT_STRING, b"\x00", signer.sign(body)))


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(digits)]) + digits + content


def _name(common_name: str) -> bytes:
    attribute = _der(_SEQUENCE, _der(_OID, _COMMON_NAME), _der(_UTF8, common_name.encode()))
    return _der(_SEQUENCE, _der(_SET, attribute))


def _utc(at: float) -> bytes:
    return _der(_UTC_TIME, time.strftime("%y%m%d%H%M%SZ", time.gmtime(at)).encode())


def _no_authority() -> bytes:
    """Basic constraints, critical, with nothing in them: not a certificate authority."""
    value = _der(_OCTET_STRING, _der(_SEQUENCE))
    return _der(_SEQUENCE, _der(_OID, _BASIC_CONSTRAINTS), _der(_BOOLEAN, b"\xff"), value)
