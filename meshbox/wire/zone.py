"""The public zone of the tailnet's names, in which nothing is but proofs for certificate authorities.

An authority that is asked for a certificate of laptop.mesh.example.com looks for a TXT record at
_acme-challenge.laptop.mesh.example.com (RFC 8555, 8.4). Every other name below the zone exists and has
nothing, so that nobody learns here which devices there are.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from meshbox.wire.dnsmessage import (
    AXFR,
    IXFR,
    NAME_OF_QUESTION,
    NOERROR,
    NS,
    REFUSED,
    SOA,
    TXT,
    Question,
    Record,
    build_answer,
    write_name,
    write_text,
)

CHALLENGE = "_acme-challenge."

PROOF_TTL = 5
"""Seconds. A renewal asks for another value under the same name, a minute later."""

NOTHING_TTL = 30
"""Seconds for which a resolver remembers that there is no proof: one that asked too early asks again."""

DELEGATION_TTL = 3600
REFRESH, RETRY, EXPIRE = 7200, 900, 1_209_600
"""Of a secondary server, if there were one."""


@dataclass(frozen=True, slots=True)
class Zone:
    """`name` is the tailnet's domain, `server` the name under which this server is reached."""

    name: str
    server: str
    _soa: Record = field(init=False)
    _ns: Record = field(init=False)

    def __post_init__(self) -> None:
        """Raises ValueError for what is no name."""
        apex = write_name(self.name)
        numbers = struct.pack("!5I", 1, REFRESH, RETRY, EXPIRE, NOTHING_TTL)
        soa = write_name(self.server) + write_name(f"hostmaster.{self.name}") + numbers
        object.__setattr__(self, "_soa", Record(apex, SOA, NOTHING_TTL, soa))
        object.__setattr__(self, "_ns", Record(apex, NS, DELEGATION_TTL, write_name(self.server)))

    def answer(self, question: Question, proofs: Callable[[str], Iterable[str]]) -> bytes:
        """`proofs(name)` are the values for the challenge of that name."""
        if question.fault != NOERROR:
            return build_answer(question, question.fault)
        if not self._has(question.name) or question.type in (AXFR, IXFR):
            return build_answer(question, REFUSED)
        answers = [*self._at_apex(question), *_proofs(question, proofs)]
        return build_answer(question, NOERROR, answers, () if answers else (self._soa,))

    def _has(self, name: str) -> bool:
        return name == self.name or name.endswith("." + self.name)

    def _at_apex(self, question: Question) -> list[Record]:
        if question.name != self.name:
            return []
        return [record for record in (self._soa, self._ns) if record.type == question.type]


def _proofs(question: Question, proofs: Callable[[str], Iterable[str]]) -> list[Record]:
    if question.type != TXT or not question.name.startswith(CHALLENGE):
        return []
    values = proofs(question.name.removeprefix(CHALLENGE))
    return [Record(NAME_OF_QUESTION, TXT, PROOF_TTL, write_text(value)) for value in values]
