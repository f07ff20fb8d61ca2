from __future__ import annotations

from typing import Any

import pytest

from tests.policy.build import document
from tests.policy.refusals import refusal


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"target": ["%bogus%"]}, '"%bogus%": invalid address'),
        ({"target": ["tag:x"]}, 'tag not found: "tag:x"'),
        ({"target": ["autogroup:self"]}, '"autogroup:self" is not valid here'),
        (
            {"target": ["*"], "ipPool": ["100.100.100.0/24"]},
            "IPPool(100.100.100.0/24): network within reserved range",
        ),
        (
            {"target": ["*"], "ipPool": ["10.0.0.0/8"]},
            "IPPool(10.0.0.0/8): network must be within 100.64.0.0/10",
        ),
        ({"target": ["*"], "ipPool": ["x"]}, '"x": invalid prefix'),
    ],
)
def test_node_attributes_refused(entry: dict[str, Any], message: str) -> None:
    assert refusal(nodeAttrs=[entry]) == message


def test_approvers() -> None:
    approvers = document(autoApprovers={"routes": {"10.0.0.0/8": ["tag:router"]}, "exitNode": ["tag:exit"]})
    assert [str(prefix) for prefix, _ in approvers.auto_approvers.routes] == ["10.0.0.0/8"]
    assert approvers.auto_approvers.exit_node[0].name == "tag:exit"
    assert refusal(autoApprovers={"exitNode": ["100.64.0.1"]}) == '"100.64.0.1" is not valid here'
    assert "invalid prefix" in refusal(autoApprovers={"routes": {"x": []}})
