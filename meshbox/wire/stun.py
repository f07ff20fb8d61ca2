"""STUN (RFC 5389) as tailscale speaks it: one kind of request, one kind of answer.

A client asks from which address its datagrams arrive. Its request is always the same 40 bytes save
for the transaction id and the checksum (net/stun/stun.go):

    0   00 01  00 14          binding request, 20 bytes of attributes
    4   21 12 A4 42           magic cookie
    8   12 bytes              transaction id
    20  80 22  00 08 tailnode SOFTWARE
    32  80 28  00 04 crc      FINGERPRINT: CRC-32 of the bytes before it, XOR 5354554E

Whatever lacks the software name or the right checksum is no client of ours and gets no answer: a STUN
port that answers everything is a reflector for forged sources. Our answer has 32 bytes for IPv4, 44 for
IPv6, so nothing is gained by forging.
"""

from __future__ import annotations

import struct
import zlib
from ipaddress import IPv4Address, IPv6Address, ip_address

COOKIE = b"\x21\x12\xa4\x42"
BINDING_REQUEST = b"\x00\x01"
BINDING_SUCCESS = b"\x01\x01"
SOFTWARE = 0x8022
FINGERPRINT = 0x8028
XOR_MAPPED_ADDRESS = 0x0020
FINGERPRINT_XOR = 0x5354554E
TAILNODE = b"tailnode"

HEADER_BYTES = 20
FINGERPRINT_BYTES = 8
MAX_REQUEST = 512
"""Real requests have 40 bytes; longer ones would let one datagram cost a long walk over attributes."""

ATTRIBUTE = struct.Struct(">HH")


def parse_request(datagram: bytes) -> bytes | None:
    """The transaction id (12 bytes) of a tailscale client's binding request; None for anything else."""
    if not HEADER_BYTES < len(datagram) <= MAX_REQUEST or datagram[4:8] != COOKIE:
        return None
    if (
        datagram[:2] != BINDING_REQUEST
        or int.from_bytes(datagram[2:4], "big") != len(datagram) - HEADER_BYTES
    ):
        return None
    return datagram[8:HEADER_BYTES] if _attributes_are_right(datagram) else None


def _attributes_are_right(datagram: bytes) -> bool:
    """SOFTWARE is `tailnode` somewhere, and a right FINGERPRINT is the last attribute."""
    is_ours = False
    at = HEADER_BYTES
    while at + ATTRIBUTE.size <= len(datagram):
        kind, length = ATTRIBUTE.unpack_from(datagram, at)
        value = datagram[at + ATTRIBUTE.size : at + ATTRIBUTE.size + length]
        after = at + ATTRIBUTE.size + (length + 3) // 4 * 4
        if kind == FINGERPRINT:
            return is_ours and after == len(datagram) and value == fingerprint(datagram[:at])
        is_ours = is_ours or (kind == SOFTWARE and value == TAILNODE)
        at = after
    return False


def fingerprint(before: bytes) -> bytes:
    """The checksum attribute's value for the bytes of the message in front of it."""
    return struct.pack(">I", zlib.crc32(before) ^ FINGERPRINT_XOR)


def build_request(transaction: bytes) -> bytes:
    """What a client sends; for our own checks and for tests."""
    head = BINDING_REQUEST + struct.pack(">H", 20) + COOKIE + transaction
    head += ATTRIBUTE.pack(SOFTWARE, len(TAILNODE)) + TAILNODE
    return head + ATTRIBUTE.pack(FINGERPRINT, 4) + fingerprint(head)


def build_response(transaction: bytes, host: str, port: int) -> bytes:
    """Tell the client its address. IPv4 that came through an IPv6 socket (::ffff:...) is told as IPv4:
    older parsers know no other way."""
    address = _unmapped(host)
    family = 1 if isinstance(address, IPv4Address) else 2
    mask = COOKIE + transaction
    hidden = bytes(a ^ b for a, b in zip(address.packed, mask, strict=False))
    value = struct.pack(">BBH", 0, family, port ^ 0x2112) + hidden
    attribute = ATTRIBUTE.pack(XOR_MAPPED_ADDRESS, len(value)) + value
    return BINDING_SUCCESS + struct.pack(">H", len(attribute)) + mask + attribute


def parse_response(datagram: bytes) -> tuple[bytes, str, int] | None:
    """(transaction id, host, port) of an answer such as ours; None for anything else."""
    if len(datagram) not in (32, 44) or datagram[:2] != BINDING_SUCCESS or datagram[4:8] != COOKIE:
        return None
    kind, length = ATTRIBUTE.unpack_from(datagram, HEADER_BYTES)
    if kind != XOR_MAPPED_ADDRESS or HEADER_BYTES + ATTRIBUTE.size + length != len(datagram):
        return None
    _, family, port = struct.unpack_from(">BBH", datagram, 24)
    if family != (1 if len(datagram) == 32 else 2):
        return None
    packed = bytes(a ^ b for a, b in zip(datagram[28:], datagram[4:HEADER_BYTES], strict=False))
    return datagram[8:HEADER_BYTES], str(ip_address(packed)), port ^ 0x2112


def _unmapped(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host.partition("%")[0])
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
