"""Which names a device may prove, and what certificate authorities find."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from meshbox.errors import Invalid, Unauthorised
from meshbox.tailnet.proofs import LIFE, PER_NAME, Proofs, names_to_prove, prove
from meshbox.tailnet.settings import DnsSettings
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.clientcalls import DnsCall
from tests.tailnet.build import NOW, join, make_key, make_tailnet, node_key

BASE = "mesh.example.net"
VALUE = "A_b-" * 10 + "xyz"


@pytest.fixture
def t() -> Tailnet:
    t = make_tailnet(dns=DnsSettings(base_domain=BASE, has_certificates=True))
    join(t, 1, make_key(t), "laptop")
    return t


def call(name: str = f"_acme-challenge.laptop.{BASE}", kind: str = "TXT", value: str = VALUE) -> DnsCall:
    return DnsCall(node_key(1), name, kind, value)


@pytest.mark.parametrize(
    "name", [f"_acme-challenge.laptop.{BASE}", f"_ACME-challenge.Laptop.{BASE.upper()}."]
)
def test_its_own_name(t: Tailnet, name: str) -> None:
    proofs = Proofs()
    assert prove(t, proofs, t.nodes[1], call(name), NOW) == f"laptop.{BASE}"
    assert proofs.of(f"laptop.{BASE}", NOW) == [VALUE]


@pytest.mark.parametrize(
    "name",
    ["", BASE, f"laptop.{BASE}", f"_acme-challenge.{BASE}", f"_acme-challenge.phone.{BASE}",
     f"_acme-challenge.x.laptop.{BASE}", "_acme-challenge.laptop.example.org",
     f"laptop.{BASE}._acme-challenge."],
)  # fmt: skip
def test_no_other_name(t: Tailnet, name: str) -> None:
    proofs = Proofs()
    with pytest.raises(Unauthorised):
        prove(t, proofs, t.nodes[1], call(name), NOW)
    assert len(proofs) == 0


@pytest.mark.parametrize(
    ("kind", "value"),
    [("A", VALUE), ("", VALUE), ("TXT", ""), ("TXT", "v=spf1"), ("TXT", VALUE + "x"), ("TXT", "é" * 43)],
)
def test_nothing_but_challenges(t: Tailnet, kind: str, value: str) -> None:
    """The zone is no place for messages."""
    with pytest.raises(Invalid):
        prove(t, Proofs(), t.nodes[1], call(kind=kind, value=value), NOW)


@pytest.mark.parametrize("state", [{"is_approved": False}, {"expires_at": NOW}])
def test_who_is_not_let_in_proves_nothing(t: Tailnet, state: dict[str, Any]) -> None:
    proofs = Proofs()
    with pytest.raises(Unauthorised):
        prove(t, proofs, replace(t.nodes[1], **state), call(), NOW)
    assert len(proofs) == 0


def test_without_certificates_no_name(t: Tailnet) -> None:
    t.configure(replace(t.settings, dns=DnsSettings(base_domain=BASE)))
    assert names_to_prove(t, t.nodes[1]) == []
    with pytest.raises(Unauthorised):
        prove(t, Proofs(), t.nodes[1], call(), NOW)


def test_values_end_and_are_few() -> None:
    proofs = Proofs()
    for number in range(PER_NAME + 2):
        proofs.put("laptop", f"v{number}", NOW + number)
    assert proofs.of("laptop", NOW) == [f"v{number}" for number in range(2, PER_NAME + 2)]
    proofs.put("laptop", "v2", NOW + 100)
    assert len(proofs.of("laptop", NOW + 100)) == PER_NAME, "the same again is one"
    assert proofs.of("laptop", NOW + LIFE + 50) == ["v2"] and proofs.of("phone", NOW) == []
    proofs.put("phone", "w", NOW + 2 * LIFE)
    assert len(proofs) == 1, "what is over is gone"
