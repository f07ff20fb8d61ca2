"""A name server that gives one address for every name: python nameserver.py ADDRESS ANSWER

It speaks just enough DNS over UDP for a resolver to believe it, so that a test sees who was asked.
"""

from __future__ import annotations

import socket
import struct
import sys
from ipaddress import IPv4Address

A = 1
POINTER_TO_QUESTION = 0xC00C


def answer(query: bytes, address: IPv4Address) -> bytes:
    """The response to one query: its question again, and an A record if that is what it asked."""
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack_from(">H", query, end - 4)
    count = 1 if kind == A else 0
    head = query[:2] + struct.pack(">HHHHH", 0x8180, 1, count, 0, 0)
    record = struct.pack(">HHHIH", POINTER_TO_QUESTION, A, 1, 1, 4) + address.packed
    return head + query[12:end] + (record if count else b"")


def main() -> None:
    door = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    door.bind((sys.argv[1], 53))
    address = IPv4Address(sys.argv[2])
    while True:
        query, asker = door.recvfrom(4096)
        door.sendto(answer(query, address), asker)


if __name__ == "__main__":
    main()
