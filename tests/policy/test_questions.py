from __future__ import annotations

import json
import pickle
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

from meshbox.errors import Invalid, NotFound
from meshbox.policy.contrast import Contrast
from meshbox.policy.problem import PolicyError, Spot
from meshbox.policy.questions import Check, Compare, Explain, Explanation, Trial, answer
from meshbox.policy.world import Person, World
from tests.policy.build import ANA, BOB, PEOPLE, TAG_OWNERS, WEB, acl, world


def text(**sections: Any) -> str:
    return json.dumps({"tagOwners": TAG_OWNERS, **sections})


FAILING = {"src": "ana@example.com", "accept": ["tag:web:22"], "deny": ["tag:web:23"]}
TESTS = text(acls=[acl("*", "tag:web:80")], tests=[{**FAILING, "accept": ["tag:web:80"]}, FAILING])


def ask(explain: Explain, over: World | None = None) -> Explanation:
    found = answer(explain, over or world())
    assert isinstance(found, Explanation)
    return found


def test_a_check_runs_the_tests_unless_told_not_to() -> None:
    with pytest.raises(PolicyError) as refused:
        answer(Check(TESTS), world())
    assert [failure.spot for failure in refused.value.failures] == [refused.value.spot]
    assert answer(Check(TESTS, with_tests=False), world()) is None


def test_a_refusal_travels_whole() -> None:
    with pytest.raises(PolicyError) as refused:
        answer(Check(TESTS), world())
    copy = pickle.loads(pickle.dumps(refused.value))
    assert (str(copy), copy.spot, copy.failures) == (
        str(refused.value),
        refused.value.spot,
        refused.value.failures,
    )


def test_a_login_that_two_users_share_is_refused_in_a_rule() -> None:
    twins = replace(world(), people={**PEOPLE, 9: Person(9, "ana@example.com", "other")})
    with pytest.raises(PolicyError, match="ambiguous"):
        answer(Check(text(acls=[acl("ana@example.com", "*:*")])), twins)


def test_a_trial_tells_of_every_test_in_order() -> None:
    ssh = {"src": "bob@example.com", "dst": ["tag:web"], "deny": ["root"], "accept": ["web"]}
    found = answer(Trial(TESTS[:-1] + f', "sshTests": [{json.dumps(ssh)}]}}'), world())
    assert isinstance(found, tuple)
    good, bad, login = found
    assert good.wishes == ("accept tag:web:80", "deny tag:web:23") and not good.errors
    assert bad.spot != good.spot and "want: Accept, got: Drop" in bad.errors[0]
    assert (
        login.wishes == ("ssh accept web on tag:web", "ssh deny root on tag:web") and len(login.errors) == 1
    )


def test_no_policy_is_compared_as_all_open() -> None:
    closed = text(acls=[])
    assert answer(Compare(closed, closed), world()) == Contrast()
    opened = answer(Compare(closed, None), world())
    assert isinstance(opened, Contrast) and opened.gained.pairs and not opened.lost.pairs


def test_the_rule_that_decided_is_shown_with_its_place() -> None:
    rule = acl("ana@example.com bob@example.com", "tag:web:22")
    policy = '{"TagOwners": {"tag:web": []},\n "ACLs": [\n  // comment\n  ' + json.dumps(rule) + "]}"
    found = ask(Explain(policy, ANA, WEB, 22))
    (cause,) = found.causes
    assert (found.pairs, found.allowed, cause.spot) == (1, 1, Spot(4, 3))
    assert json.loads(cause.rule) == rule and (cause.section, cause.index) == ("acls", 0)
    assert ask(Explain(policy, ANA, WEB, 23)) == Explanation(1, 0, (), (ANA, WEB))
    assert ask(Explain(policy, ip_address("100.64.0.1"), WEB, 22)).allowed == 1
    assert ask(Explain(policy, BOB, "tag:web", 22)).pairs == 2
    assert ask(Explain(policy, "user:*@example.com", WEB, 22)).allowed == 3


def test_without_a_policy_everything_is_allowed_by_no_rule() -> None:
    (cause,) = ask(Explain(None, ANA, BOB, 1)).causes
    assert cause.section == "default" and cause.spot is None and not cause.rule


def test_roles_and_provided_groups_decide() -> None:
    policy = text(acls=[acl("autogroup:admin", "tag:web:22"), acl("group:ops@example.com", "tag:web:23")])
    assert not ask(Explain(policy, 4, WEB, 22)).allowed and ask(Explain(policy, 4, WEB, 23)).allowed
    cyd = replace(PEOPLE[3], role="admin", groups=frozenset())
    changed = replace(world(), people={**PEOPLE, 3: cyd})
    assert ask(Explain(policy, 4, WEB, 22, is_kept=True), changed).allowed
    assert not ask(Explain(policy, 4, WEB, 23, is_kept=True), changed).allowed
    with pytest.raises(PolicyError, match="group not found"):
        ask(Explain(policy, 4, WEB, 23), changed)


@pytest.mark.parametrize(
    ("word", "kind", "said"),
    [
        ("nobody", NotFound, "no word of this policy"),
        ("tag:unheard", NotFound, "no word of this policy"),
        ("10.0.0.0/8", Invalid, "is a network"),
        ("autogroup:internet", Invalid, "stands for too much"),
        ("dan@example.com", NotFound, "has no devices"),
    ],
)
def test_an_end_that_is_nothing_says_so(word: str, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        ask(Explain(text(acls=[]), word, WEB, 22))
