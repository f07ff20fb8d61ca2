from __future__ import annotations

from time import perf_counter
from typing import Any

import pytest

from meshbox.policy import reading
from meshbox.policy.problem import PolicyError
from meshbox.policy.reading import read
from meshbox.wire import hujson
from tests.policy.build import acl, document
from tests.policy.refusals import refusal


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"groups": {"group:a": ["group:b"], "group:b": ["group:a"]}},
            'groups["group:b"]: "group:a": group members cannot be recursive',
        ),
        (
            {"tagOwners": {"tag:é": []}},
            "tagOwners[\"tag:é\"]: tag names must start with a letter, after 'tag:'",
        ),
        ({"tagOwners": {"tag:a": ["tag:b"]}}, 'tagOwners["tag:a"]: tag not found: "tag:b"'),
        ({"hosts": {"a@b": "1.1.1.1"}}, 'hosts["a@b"]: names of hosts may not contain "@" or ":"'),
        ({"hosts": {"a": "x"}}, 'hosts["a"]: "x": invalid address'),
        ({"acl": []}, 'json: unknown field "acl"'),
        ({"defaultSrcPosture": ["posture:x"]}, 'posture not found: "posture:x"'),
        ({"OneCGNATRoute": "x"}, 'OneCGNATRoute "x" is not valid; use "mac-always" or "mac-never"'),
    ],
)
def test_refusals(sections: dict[str, Any], message: str) -> None:
    assert refusal(**sections) == message


def test_what_cannot_be_honoured_is_refused() -> None:
    assert "no attributes" in refusal(attrConfig={"custom:x": {"type": "string"}})
    assert "no services" in refusal(autoApprovers={"services": {"svc:x": ["tag:web"]}})
    assert "no services" in refusal(acls=[acl("*", "svc:web:443")])


def test_old_and_new_spelling_of_members_do_not_mix() -> None:
    assert document(acls=[acl("autogroup:members", "*:*")]).acls
    assert "cannot be used together" in refusal(acls=[acl("autogroup:members autogroup:member", "*:*")])


def test_older_names_of_keys() -> None:
    policy = document(
        acls=[{"action": "accept", "users": ["*"], "ports": ["*:22"]}],
        tests=[{"user": "ana@example.com", "allow": ["tag:web:22"]}],
    )
    assert policy.acls is not None and policy.acls[0].dst[0].ports == ((22, 22),)
    assert policy.tests[0].src == "ana@example.com" and policy.tests[0].accept == ("tag:web:22",)


def test_an_empty_text_is_an_empty_policy() -> None:
    assert read(hujson.parse("{}")).allows_everything
    assert read(hujson.parse("null")).allows_everything


@pytest.mark.parametrize(
    "text",
    [
        '{"acls":[' + ",".join(['{"action":"accept","src":["*"],"dst":["*:*"]}'] * 20_001) + "]}",
        '{"acls":[{"action":"accept","src":[' + ",".join(['"*"'] * 90_000) + '],"dst":["*:*","1.1.1.1:*"]}]}',
        '{"grants":[{"src":["*"],"dst":['
        + ",".join(['"*"'] * 1000)
        + '],"ip":['
        + ",".join(['"22"'] * 1000)
        + "]}]}",
        '{"tests":[' + ",".join(['{"src":"a"}'] * 2001) + "]}",
    ],
)
def test_hostile_policies_are_refused_in_time(text: str) -> None:
    start = perf_counter()
    with pytest.raises((PolicyError, hujson.Unreadable), match="more than"):
        read(hujson.parse(text))
    assert perf_counter() - start < 20


def test_limits_stand_beside_the_reader() -> None:
    assert reading.MAX_RULES >= 10_000 and reading.MAX_TESTS >= 1000
