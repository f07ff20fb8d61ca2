"""Every captured case, by meaning and in the hosted service's own form; and that the cases are there."""

from __future__ import annotations

import os
import warnings
from functools import cache
from itertools import pairwise

import pytest

from meshbox.policy.reading import read
from meshbox.policy.words import Known
from meshbox.wire import hujson
from tests.conformance.engine import DOMAINS, approved, world_of
from tests.conformance.folder import Cases, folder, load

ARTIFACTS: dict[str, str] = {
    "acl-k03": "caught while a route was being approved; its own `unstable` fields are left out",
}
"""Case -> why its capture is not what the service does, where the strict comparison may differ. The folder's
README names the rest: nodes that were not captured, stale approvals (corrected there), one message anonymised
less than its policy."""


@cache
def cases() -> Cases:
    where = folder()
    if not (where / "cases.py").exists():
        message = f"no conformance cases in {where}: the policy engine is NOT held against the hosted service"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        warnings.warn(message, stacklevel=2)
        pytest.skip(message)
    return load(where)


def test_every_case_means_what_was_captured() -> None:
    found = {case["id"]: cases().differences(case) for case in cases().cases}
    assert {name: differences for name, differences in found.items() if differences} == {}


def test_every_case_is_written_as_captured() -> None:
    found = {case["id"]: cases().differences(case, strict=True) for case in cases().cases}
    assert {name for name, differences in found.items() if differences} <= set(ARTIFACTS)


def test_routes_in_force_are_those_that_approve_themselves() -> None:
    wrong = {}
    for case in cases().cases:
        if case["expect"]["status"] != 200 or case["id"] in ARTIFACTS:
            continue
        users, nodes = cases().topology(case)
        document = read(hujson.parse(case["policy"]), Known(DOMAINS))
        found = approved(document, world_of(users, nodes))
        want = {number: set(node["approved"]) for number, node in enumerate(nodes, start=1)}
        if found != want:
            wrong[case["id"]] = (found, want)
    assert wrong == {}


def test_a_comparison_that_finds_nothing_can_find_something() -> None:
    """Another case's expectation must not fit: otherwise the tests above prove nothing."""
    accepted = [case for case in cases().cases if case["expect"]["status"] == 200]
    for case, other in pairwise(accepted[:40]):
        swapped = {**case, "policy": other["policy"]}
        if case["expect"] != other["expect"] and cases().differences(swapped):
            return
    pytest.fail("forty swapped policies all fitted")
