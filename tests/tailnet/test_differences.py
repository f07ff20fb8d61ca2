from __future__ import annotations

from dataclasses import fields, replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from meshbox.tailnet.changes import Fact
from meshbox.tailnet.differences import node_facts, report_facts
from meshbox.tailnet.model import Node, Report
from tests.tailnet.build import NOW, disco, machine, node_key

NODE = Node(1, "n1", machine(1), node_key(1), "lab", NOW, user_id=1, ipv4=ip_address("100.64.0.1"))  # type: ignore[arg-type]

SHOWN: dict[str, tuple[Any, Fact]] = {
    "name": ("nas", Fact.WHOLE),
    "user_id": (2, Fact.WHOLE | Fact.SIGHT),
    "tags": (("tag:a",), Fact.WHOLE | Fact.SIGHT),
    "ipv4": (ip_address("100.64.0.2"), Fact.WHOLE),
    "ipv6": (ip_address("fd7a::1"), Fact.WHOLE),
    "approved_routes": ((ip_network("10.0.0.0/8"),), Fact.WHOLE),
    "machine_key": (machine(2), Fact.WHOLE),
    "node_key": (node_key(2), Fact.KEY),
    "is_approved": (False, Fact.WHOLE | Fact.SIGHT),
    "expires_at": (NOW + 60, Fact.KEY),
}
HIDDEN: dict[str, Any] = {
    "hostname": "x",
    "name_is_chosen": True,
    "ephemeral": True,
    "auth_key_id": 3,
    "register_method": "oidc",
    "attributes": (("custom:tier", "gold"),),
}


def test_every_field_is_either_shown_or_hidden() -> None:
    fixed = {"id", "stable_id", "created_at"}
    assert {field.name for field in fields(Node)} == SHOWN.keys() | HIDDEN.keys() | fixed


@pytest.mark.parametrize("name", SHOWN)
def test_what_peers_see_is_news(name: str) -> None:
    value, facts = SHOWN[name]
    assert node_facts(NODE, replace(NODE, **{name: value}), NOW) == facts


@pytest.mark.parametrize("name", HIDDEN)
def test_what_peers_do_not_see_is_not(name: str) -> None:
    facts = node_facts(NODE, replace(NODE, **{name: HIDDEN[name]}), NOW)
    # A posture may look at attributes: sessions look at the policy again, peers are told nothing.
    assert facts == (Fact.STANDING if name == "attributes" else Fact(0))


def test_expiring_and_reviving_change_who_is_seen() -> None:
    expired = replace(NODE, expires_at=NOW)
    for old, new in ((NODE, expired), (expired, NODE)):
        assert node_facts(old, new, NOW) == Fact.KEY | Fact.WHOLE | Fact.SIGHT


def test_reports() -> None:
    old = Report(disco_key=disco(1), last_seen=NOW)
    assert not report_facts(old, replace(old, last_seen=NOW + 9, hostinfo=b'{"NetInfo":{}}'))
    assert report_facts(old, replace(old, disco_key=disco(2), home_derp=9)) == Fact.DISCO | Fact.HOME_DERP
    assert report_facts(Report(), old) == Fact.WHOLE
