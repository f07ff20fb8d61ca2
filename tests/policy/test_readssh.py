from __future__ import annotations

from typing import Any

import pytest

from tests.policy.build import document
from tests.policy.refusals import refusal

ASSOCIATED = "is not associated with this Tailnet and cannot be used in user:*@<domain> expressions"


def rule(**changes: Any) -> dict[str, Any]:
    return {"action": "accept", "src": ["autogroup:member"], "dst": ["tag:web"], "users": ["root"], **changes}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": ""}, "action must be specified"),
        ({"action": None}, "action must be specified"),
        ({"action": "Accept"}, '"Accept" is not a valid action'),
        ({"users": []}, "users must be specified"),
        ({"users": None}, "users must be specified"),
        ({"users": ["root", ""]}, 'user "" is not valid'),
        ({"users": ["*"]}, 'user "*" is not valid'),
        ({"users": ["localpart:*@x.org"]}, f"x.org {ASSOCIATED}"),
        ({"users": ["localpart:*@EXAMPLE.COM"]}, f"EXAMPLE.COM {ASSOCIATED}"),
        ({"src": ["user:*@x.org"]}, f"[ssh] x.org {ASSOCIATED}"),
        ({"acceptEnv": [""]}, "acceptEnv values cannot be empty"),
        ({"checkPeriod": "abc"}, 'time: invalid duration "abc"'),
        ({"checkPeriod": "-1m"}, "checkPeriod -1m0s must be a positive duration"),
        ({"checkPeriod": "168h0m1s"}, "checkPeriod 168h0m1s is above the max (168h)"),
        ({"dst": ["srv"]}, 'invalid dst "srv"'),
        ({"action": "check", "src": ["tag:web"]}, '[ssh] "check" action does not support tags in src'),
        (
            {"src": ["tag:web"], "dst": ["ana@example.com"]},
            "tags in SSH source cannot access user-owned devices",
        ),
        ({"dst": ["ana@example.com"]}, "user destination requires source to contain only that same user"),
        ({"recorder": ["ana@example.com"]}, 'recorder "ana@example.com" is not a tag'),
    ],
)
def test_refused(changes: dict[str, Any], message: str) -> None:
    assert refusal(hosts={"srv": "100.64.0.5"}, ssh=[rule(**changes)]) == message


@pytest.mark.parametrize(("text", "seconds"), [("always", 0), ("0s", 0), ("168h", 604800), ("30s", 30)])
def test_periods(text: str, seconds: float) -> None:
    policy = document(ssh=[rule(action=" check", checkPeriod=text)])
    assert policy.ssh is not None and policy.ssh[0].check_period == seconds


def test_odd_names_that_are_taken_as_they_are() -> None:
    users = ["autogroup:member", "localpart:", "localpart:*@", "localpart:foo@d", "tag:foo", "\troot"]
    policy = document(ssh=[rule(users=users, acceptEnv=["**"])])
    assert policy.ssh is not None and policy.ssh[0].users[-1] == "root"
