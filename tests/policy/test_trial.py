from __future__ import annotations

from typing import Any

import pytest

from meshbox.policy.problem import PolicyError
from meshbox.policy.trial import check_tests, run_tests
from tests.policy.build import acl, compiled

RULES = [acl("ana@example.com", "tag:web:22 net:80 fd7a::9:22"), acl("tag:web", "100.64.0.9:53", proto="udp")]
HOSTS = {"net": "10.33.0.0/16", "box": "10.33.0.7"}


def failures(**test: Any) -> int:
    return len(run_tests(compiled(acls=RULES, hosts=HOSTS, tests=[test])))


@pytest.mark.parametrize(
    "test",
    [
        {"src": "ana@example.com", "accept": ["tag:web:22", "box:80", "[fd7a::9]:22", "fd7a::9:22"]},
        {"src": "ana@example.com", "deny": ["tag:web:23", "tag:exit:22"]},
        {"src": "tag:web", "accept": ["100.64.0.9:53"], "proto": "udp"},
        {"src": "tag:web", "deny": ["100.64.0.9:53"], "proto": "tcp"},
        {"src": "100.64.0.1", "accept": ["100.64.0.5:22"]},
    ],
)
def test_what_holds(test: dict[str, Any]) -> None:
    assert failures(**test) == 0


@pytest.mark.parametrize(
    "test",
    [
        {"src": "ana@example.com", "accept": ["tag:web:23"]},
        {"src": "ana@example.com", "deny": ["tag:web:22"]},
        {"src": "ana@example.com"},
        {"src": "", "accept": ["tag:web:22"]},
        {"src": "ghost@example.com", "deny": ["tag:web:22"]},
        {"src": "autogroup:member", "deny": ["tag:web:23"]},
        {"src": "*", "deny": ["tag:web:23"]},
        {"src": "ana@example.com", "accept": ["tag:web:*"]},
        {"src": "ana@example.com", "accept": ["tag:web:22,23"]},
        {"src": "ana@example.com", "accept": ["net:80"]},
        {"src": "ana@example.com", "accept": ["100.64.0.5/32:22"]},
        {"src": "ana@example.com", "deny": ["autogroup:internet:22"]},
        {"src": "ana@example.com", "deny": ["tag:web:70000"]},
    ],
)
def test_what_does_not(test: dict[str, Any]) -> None:
    assert failures(**test) == 1


def test_the_policy_is_refused_with_every_failure() -> None:
    bad = {"src": "ana@example.com", "accept": ["tag:web:23"]}
    with pytest.raises(PolicyError, match=r"^test\(s\) failed$") as error:
        check_tests(compiled(acls=RULES, hosts=HOSTS, tests=[bad, bad]))
    assert len(error.value.failures) == 2
    assert "want: Accept, got: Drop" in error.value.failures[0].errors[0]


def test_a_posture_is_what_the_test_says() -> None:
    sections: dict[str, Any] = {
        "postures": {"posture:x": ["custom:tier == 'gold'"]},
        "acls": [acl("ana@example.com", "tag:web:22", srcPosture=["posture:x"])],
    }
    gold = {"src": "ana@example.com", "accept": ["tag:web:22"], "srcPostureAttrs": {"custom:tier": "gold"}}
    plain = {"src": "ana@example.com", "deny": ["tag:web:22"]}
    check_tests(compiled(**sections, tests=[gold, plain]))
