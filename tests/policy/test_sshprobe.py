from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from meshbox.policy import sshprobe
from meshbox.policy.problem import Failure, PolicyError
from meshbox.policy.reading import read
from meshbox.policy.resolve import Resolver
from meshbox.policy.ssh import Ssh
from meshbox.policy.words import Known
from meshbox.policy.world import World
from meshbox.wire.hujson import parse
from tests.policy.sshworld import ANA, BASE, DEVICES, DOMAINS, PEOPLE, resolver, rule

RULES = [
    rule("group:staff", "tag:web", "ubuntu"),
    rule("ana@example.com", "tag:web", "root", action="check"),
    rule("autogroup:member", "autogroup:self", "autogroup:nonroot"),
]
SECTIONS = {"hosts": {"db": "100.64.0.6", "lan": "10.0.0.0/8"}}


def failures(*tests: dict[str, Any], **sections: Any) -> tuple[Failure, ...]:
    it = resolver(**{"ssh": RULES, "sshTests": list(tests), **SECTIONS, **sections})
    return sshprobe.run(it, Ssh(it))


def wish(src: str = "ana@example.com", dst: str = "tag:web", **wishes: Any) -> dict[str, Any]:
    return {"src": src, "dst": dst.split(), **wishes}


@pytest.mark.parametrize(
    "test",
    [
        wish(accept=["ubuntu"]),
        wish(check=["root"]),
        wish(accept=["ubuntu"], check=["root"], deny=["alice"]),
        wish(src="group:staff", accept=["ubuntu"]),
        wish(src="100.64.0.1", accept=["ubuntu"]),
        wish(src="ben@elsewhere.org", deny=["root"]),
        wish(dst="db", deny=["root", "ubuntu"]),
        wish(dst="100.64.0.5 100.64.0.7", accept=["ubuntu"]),
        wish(dst="ana@example.com", accept=["alice"], deny=["root"]),
        wish(dst="ben@elsewhere.org", deny=["alice"]),
        wish(src="tag:db", deny=["ubuntu"]),
    ],
)
def test_wishes_that_hold(test: dict[str, Any]) -> None:
    assert failures(test) == ()


@pytest.mark.parametrize(
    ("test", "part"),
    [
        (wish(accept=["alice"]), 'login "alice": want: Accept, got: Drop'),
        (wish(accept=["root"]), 'login "root": want: Accept, got: Check'),
        (wish(check=["ubuntu"]), "want: Check, got: Accept"),
        (wish(deny=["ubuntu"]), "want: Drop, got: Accept"),
        (wish(src="group:staff", check=["root"]), "want: Check, got: Drop"),
        (wish(dst="tag:web db", accept=["ubuntu"]), "want: Accept, got: Drop"),
        (wish(), "needs accept, check or deny"),
        (wish(accept=[""]), "a login name is empty"),
        (wish(dst="", accept=["ubuntu"]), "needs a dst"),
        (wish(dst="tag:unused", deny=["ubuntu"]), "is no device"),
        (wish(dst="100.64.0.99", deny=["ubuntu"]), "is no device"),
        (wish(src="group:none", deny=["ubuntu"]), "is no device"),
        (wish(src="", deny=["ubuntu"]), "invalid address"),
        (wish(src="*", deny=["ubuntu"]), "cannot be tested"),
        (wish(src="lan", deny=["ubuntu"]), "cannot be tested"),
        (wish(src="tag:nosuch", deny=["ubuntu"]), 'tag not found: "tag:nosuch"'),
        (wish(dst="autogroup:member", deny=["ubuntu"]), "cannot be tested"),
    ],
)
def test_wishes_that_do_not(test: dict[str, Any], part: str) -> None:
    (failure,) = failures(wish(accept=["ubuntu"]), test)
    assert failure.src == test["src"] and failure.spot
    assert any(part in error for error in failure.errors), failure.errors


@pytest.mark.parametrize(
    ("dst", "message"),
    [
        ("autogroup:internet", 'SSH tests dst contains disallowed element "autogroup:internet"'),
        ("100.64.0.0/24", 'SSH tests dst contains disallowed element "100.64.0.0/24"'),
        ("100.64.0.6/32", 'SSH tests dst contains disallowed element "100.64.0.6/32"'),
        ("lan", 'SSH tests dst contains disallowed element "lan"'),
        ("tag:web:22", 'SSH tests dst contains unknown tag "tag:web:22"'),
        ("tag:nosuch", 'SSH tests dst contains unknown tag "tag:nosuch"'),
    ],
)
def test_destinations_with_a_word_of_their_own(dst: str, message: str) -> None:
    with pytest.raises(PolicyError) as caught:
        failures(wish(accept=["alice"]), wish(dst=dst, accept=["ubuntu"]))
    assert str(caught.value) == message and caught.value.spot


def test_attributes_are_what_the_test_says() -> None:
    sections = {"postures": {"posture:desk": ["node:os == 'linux'"]}, "defaultSrcPosture": ["posture:desk"]}
    linux, android = {"node:os": "linux"}, {"node:os": "android"}
    good = wish(accept=["ubuntu"], srcPostureAttrs=linux)
    assert failures(good, wish(deny=["ubuntu"], srcPostureAttrs=android), **sections) == ()
    assert failures(wish(deny=["ubuntu"]), **sections) == ()


def test_trials_end_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sshprobe, "MAX_TRIALS", 10)
    assert failures(wish(accept=["ubuntu"]), wish(accept=["ubuntu"])) == ()
    (failure,) = failures(*[wish(accept=["ubuntu"])] * 3)
    assert "more than 10 logins" in failure.errors[0]


def test_groups_of_the_identity_provider_can_be_tested() -> None:
    text = {
        "ssh": [rule("group:provided", "tag:web", "ubuntu")],
        "sshTests": [wish("group:provided", accept=["ubuntu"])],
    }
    people = {**PEOPLE, ANA: replace(PEOPLE[ANA], groups=frozenset({"group:provided"}))}
    document = read(parse(json.dumps({**BASE, **text})), Known(DOMAINS, frozenset({"group:provided"})))
    it = Resolver(document, World(people, DEVICES, DOMAINS))
    assert sshprobe.run(it, Ssh(it)) == ()
