"""/api/v1/policy: a policy file held against this tailnet, before anybody depends on it.

This version does not enforce policies: every node may reach every node. A file can be checked, and its
tests run, against the nodes and users that are here.
"""

from __future__ import annotations

from meshbox.policy.problem import PolicyError
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json
from meshbox.serve.api.endpoint import endpoint
from meshbox.tailnet.access import check_policy

POLICY_BODY_LIMIT = 4 << 20
"""A policy file has at most 1 MiB; in JSON, line ends and quotes take two bytes."""


@endpoint("POST", "/policy/check", Audience.ADMINISTRATOR, POLICY_BODY_LIMIT)
def check(call: Call) -> Json:
    """{} when the policy is fine; else 422 with the place and what is wrong."""
    try:
        check_policy(call.tailnet, call.wants("policy"))
    except PolicyError as error:
        lines = [error.placed]
        for failure in error.failures:
            where = f"{failure.spot}: " if failure.spot else ""
            lines += [f"{where}test of {failure.src}: {text}" for text in failure.errors]
        raise PolicyError("\n".join(lines)) from None
    return {}
