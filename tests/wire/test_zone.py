"""The zone of proofs, as resolvers see it."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.rcode
import pytest

from meshbox.wire.dnsmessage import read_question
from meshbox.wire.zone import NOTHING_TTL, PROOF_TTL, Zone

ZONE = Zone("mesh.example.net", "vpn.example.org")
VALUES = {"laptop.mesh.example.net": ["a" * 43, "b" * 43]}


def ask(name: str, kind: str = "TXT") -> dns.message.Message:
    question = read_question(dns.message.make_query(name, kind).to_wire())
    assert question is not None
    answer = ZONE.answer(question, lambda name: VALUES.get(name, []))
    assert len(answer) <= 512, "no resolver has to come again by TCP"
    return dns.message.from_wire(answer)


def test_a_challenge_has_all_its_values() -> None:
    answer = ask("_ACME-challenge.Laptop.mesh.example.net")
    [rrset] = answer.answer
    assert {record.strings[0].decode() for record in rrset} == {"a" * 43, "b" * 43}
    assert rrset.ttl == PROOF_TTL and answer.flags & dns.flags.AA and not answer.authority


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("_acme-challenge.phone.mesh.example.net", "TXT"),
        ("_acme-challenge.laptop.mesh.example.net", "A"),
        ("laptop.mesh.example.net", "A"),
        ("laptop.mesh.example.net", "CAA"),
        ("nobody.mesh.example.net", "AAAA"),
        ("mesh.example.net", "TXT"),
        ("mesh.example.net", "CAA"),
        ("laptop.mesh.example.net", "ANY"),
    ],
)
def test_every_other_name_is_there_and_has_nothing(name: str, kind: str) -> None:
    """Nobody learns which devices there are; and CAA must be answered, or no authority issues anything."""
    answer = ask(name, kind)
    assert answer.rcode() == dns.rcode.NOERROR and not answer.answer
    [soa] = answer.authority
    assert str(soa.name) == "mesh.example.net." and soa[0].minimum == soa.ttl == NOTHING_TTL
    assert str(soa[0].mname) == "vpn.example.org."


def test_the_zone_names_its_server() -> None:
    [ns] = ask("mesh.example.net", "NS").answer
    assert str(ns[0].target) == "vpn.example.org."
    assert len(ask("mesh.example.net", "SOA").answer) == 1


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("example.net", "TXT"),
        ("xmesh.example.net", "TXT"),
        (".", "NS"),
        ("mesh.example.net", "AXFR"),
        ("com", "A"),
    ],
)
def test_what_is_not_ours_is_refused(name: str, kind: str) -> None:
    answer = ask(name, kind)
    assert answer.rcode() == dns.rcode.REFUSED and not answer.answer and not answer.authority


def test_a_zone_needs_names() -> None:
    with pytest.raises(ValueError, match="no domain name"):
        Zone("mesh..net", "x")
