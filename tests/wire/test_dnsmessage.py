"""DNS messages, with dnspython at the other end."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.wire import dnsmessage
from meshbox.wire.dnsmessage import (
    FORMERR,
    LARGEST,
    NAME_OF_QUESTION,
    NOERROR,
    NOTIMP,
    REFUSED,
    TXT,
    Question,
    Record,
    build_answer,
    read_question,
    write_name,
    write_text,
)

NAME = "_acme-Challenge.laptop.Mesh.example.NET"
LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=20)


def asked(name: str = NAME, kind: str = "TXT", edns: int = -1, **more: int) -> dns.message.Message:
    return dns.message.make_query(name, kind, use_edns=edns, **more)  # type: ignore[arg-type]


def read(packet: bytes) -> Question:
    question = read_question(packet)
    assert question is not None
    return question


@pytest.mark.parametrize("edns", [-1, 0])
def test_a_question_is_read(edns: int) -> None:
    query = asked(edns=edns)
    question = read(query.to_wire())
    assert (question.id, question.name, question.type) == (query.id, NAME.lower(), TXT)
    assert (question.fault, question.has_edns) == (NOERROR, edns == 0)


@pytest.mark.parametrize("edns", [-1, 0])
def test_the_answer_is_the_questions_own(edns: int) -> None:
    query = asked(edns=edns)
    record = Record(NAME_OF_QUESTION, TXT, 5, write_text("x" * 43))
    answer = dns.message.from_wire(build_answer(read(query.to_wire()), NOERROR, [record]))
    assert query.is_response(answer)
    assert str(answer.question[0].name) == NAME + ".", "its upper and lower case are kept"
    assert answer.flags & dns.flags.AA and answer.flags & dns.flags.RD and not answer.flags & dns.flags.RA
    [rrset] = answer.answer
    assert (rrset.name, rrset.ttl, rrset[0].strings) == (dns.name.from_text(NAME), 5, (b"x" * 43,))
    assert answer.edns == edns and (edns < 0 or answer.payload == dnsmessage.PAYLOAD)


@given(st.lists(LABEL, min_size=1, max_size=6))
def test_names_are_written_as_others_read_them(labels: list[str]) -> None:
    name = ".".join(labels)
    assert write_name(name) == write_name(name + ".") == dns.name.from_text(name).to_wire()


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".a"])
def test_what_is_no_name_is_not_written(name: str) -> None:
    with pytest.raises(ValueError, match="no domain name"):
        write_name(name)


def test_what_deserves_silence() -> None:
    query = asked()
    response = dns.message.make_response(query).to_wire()
    for packet in (b"", b"x" * 11, response, query.to_wire() + bytes(LARGEST)):
        assert read_question(packet) is None


def test_what_is_wrong_is_told() -> None:
    wire = asked().to_wire()
    notify = asked()
    notify.set_opcode(dns.opcode.NOTIFY)
    two = wire[:4] + b"\0\2" + wire[6:]
    chaos = asked(rdclass=dns.rdataclass.CH)
    pointer = wire[:12] + b"\xc0\x0c" + wire[-4:]
    long = wire[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0" + wire[-4:]
    dotted = wire[:12] + b"\x03a.b\0" + wire[-4:]
    cases = {
        notify.to_wire(): NOTIMP, two: FORMERR, wire[:-1]: FORMERR, pointer: FORMERR, long: FORMERR,
        dotted: FORMERR, chaos.to_wire(): REFUSED,
    }  # fmt: skip
    for packet, fault in cases.items():
        question = read(packet)
        assert question.fault == fault, packet
        answer = build_answer(question, fault)
        assert answer[:2] == packet[:2] and answer[2] & 0x80 and answer[3] & 15 == fault


def test_a_later_edns_is_told_which_we_speak() -> None:
    answer = dns.message.from_wire(build_answer(question := read(asked(edns=1).to_wire()), question.fault))
    assert answer.rcode() == dns.rcode.BADVERS and answer.edns == 0


@given(st.binary(max_size=300))
def test_anything_is_read_or_not(packet: bytes) -> None:
    question = read_question(packet)
    if question is not None:
        assert len(build_answer(question, question.fault)) <= len(packet) + 11


def test_every_byte_of_a_question_flipped() -> None:
    wire = asked(edns=0).to_wire()
    for at in range(len(wire)):
        for bit in range(8):
            changed = bytearray(wire)
            changed[at] ^= 1 << bit
            question = read_question(bytes(changed))
            if question is not None:
                dns.message.from_wire(build_answer(question, question.fault), ignore_trailing=True)
