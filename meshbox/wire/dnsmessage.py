"""DNS messages, as far as a name server needs them that answers few questions: RFC 1035, EDNS(0) of RFC 6891.

A question is read from its bytes and repeated in the answer as it came: resolvers mix upper and lower case to
know their own questions again.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

HEADER = struct.Struct("!6H")
NS, SOA, TXT, OPT, AXFR, IXFR, ANY = 2, 6, 16, 41, 252, 251, 255
IN = 1

NOERROR, FORMERR, NOTIMP, REFUSED, BADVERS = 0, 1, 4, 5, 16

RESPONSE, AUTHORITATIVE, RECURSION_DESIRED = 0x8000, 0x0400, 0x0100
OPCODE, CODE = 0x7800, 15

SMALLEST = HEADER.size
LARGEST = 4096
"""Bytes of a question that is looked at. One has a name of at most 255 bytes, and an EDNS record."""

PAYLOAD = 1232
"""Bytes of an answer over UDP that no network on the way breaks into pieces; ours are below 512 anyway."""

NAME_LIMIT, LABEL_LIMIT = 255, 63
NAME_OF_QUESTION = b"\xc0\x0c"
"""A pointer to the first name of the message."""


@dataclass(frozen=True, slots=True)
class Question:
    """`name` is in lower case and without the final dot; `section` is the question as it came. `fault` is
    what is wrong with the message, NOERROR when nothing is. `has_edns`: the asker speaks EDNS."""

    id: int
    flags: int
    name: str = ""
    type: int = 0
    section: bytes = b""
    fault: int = NOERROR
    has_edns: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """`name` as bytes on the wire, or a pointer."""

    name: bytes
    type: int
    ttl: int
    data: bytes

    def encode(self) -> bytes:
        return self.name + struct.pack("!HHIH", self.type, IN, self.ttl, len(self.data)) + self.data


def read_question(packet: bytes) -> Question | None:
    """None for what deserves no answer: too short, too long, or an answer itself."""
    if not SMALLEST <= len(packet) <= LARGEST:
        return None
    message_id, flags, questions, answers, authorities, additional = HEADER.unpack_from(packet)
    if flags & RESPONSE:
        return None
    if flags & OPCODE:
        return Question(message_id, flags, fault=NOTIMP)
    if questions != 1 or answers or authorities:
        return Question(message_id, flags, fault=FORMERR)
    try:
        name, end = _read_name(packet, SMALLEST)
        kind, of_class = struct.unpack_from("!HH", packet, end)
        fault, has_edns = _read_edns(packet, end + 4) if additional else (NOERROR, False)
    except (ValueError, IndexError, struct.error):
        return Question(message_id, flags, fault=FORMERR)
    if fault == NOERROR and of_class not in (IN, ANY):
        fault = REFUSED
    return Question(message_id, flags, name, kind, packet[SMALLEST : end + 4], fault, has_edns)


def build_answer(
    question: Question, code: int, answers: Sequence[Record] = (), authority: Sequence[Record] = ()
) -> bytes:
    """`code` above 15 needs an asker that speaks EDNS."""
    flags = RESPONSE | (question.flags & (OPCODE | RECURSION_DESIRED)) | (code & CODE)
    if code == NOERROR:
        flags |= AUTHORITATIVE
    edns = _edns(code) if question.has_edns else b""
    counts = (1 if question.section else 0, len(answers), len(authority), 1 if edns else 0)
    records = b"".join(record.encode() for record in (*answers, *authority))
    return HEADER.pack(question.id, flags, *counts) + question.section + records + edns


def write_name(name: str) -> bytes:
    """Raises ValueError for what is no name."""
    labels = name.rstrip(".").encode("ascii").split(b".") if name.rstrip(".") else []
    if any(not 0 < len(label) <= LABEL_LIMIT for label in labels):
        raise ValueError(f"{name!r} is no domain name")
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def write_text(text: str) -> bytes:
    """A TXT record's data: one character string of at most 255 bytes."""
    data = text.encode("ascii")
    return bytes((len(data),)) + data


def _read_name(packet: bytes, at: int) -> tuple[str, int]:
    """A question's name, which has no pointers, and where it ends."""
    labels, start = [], at
    while length := packet[at]:
        if length > LABEL_LIMIT or at + 1 + length - start >= NAME_LIMIT:
            raise ValueError("no name")
        label = packet[at + 1 : at + 1 + length]
        if len(label) < length or b"." in label:
            raise ValueError("no name")
        labels.append(label.decode("latin-1").lower())
        at += 1 + length
    return ".".join(labels), at + 1


def _read_edns(packet: bytes, at: int) -> tuple[int, bool]:
    """The fault in the record behind the question, and whether it is an EDNS one."""
    if packet[at] != 0:
        return NOERROR, False
    kind, _, ttl, length = struct.unpack_from("!HHIH", packet, at + 1)
    if kind != OPT:
        return NOERROR, False
    if at + 11 + length > len(packet):
        raise ValueError("cut off")
    return (BADVERS if ttl >> 16 & 0xFF else NOERROR), True


def _edns(code: int) -> bytes:
    return b"\0" + struct.pack("!HHIH", OPT, PAYLOAD, code >> 4 << 24, 0)
