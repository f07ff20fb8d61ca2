from __future__ import annotations

import pytest

from meshbox.policy.problem import PolicyError
from meshbox.policy.texts import NOBODY, read_kept, read_new
from tests.policy.build import world

GONE = '{"acls": [{"action": "accept", "src": ["group:gone@example.com"], "dst": ["*:*"]}]}'


def test_a_group_nobody_named_is_an_error_in_a_new_text_and_empty_in_a_kept_one() -> None:
    with pytest.raises(PolicyError, match="group not found"):
        read_new(GONE, world())
    assert read_kept(GONE).acls and read_kept(GONE) is read_kept(GONE)
    assert read_kept("acls: [{action: accept, src: [group:gone], dst: ['*:*']}]\n").acls
    assert read_new(GONE.replace("gone", "ops"), world()).acls


def test_a_kept_text_must_still_be_a_policy() -> None:
    with pytest.raises(PolicyError) as refused:
        read_kept('{\n "acls": 7}')
    assert refused.value.spot is not None and refused.value.spot.line == 2


def test_nobody_is_not_everybody() -> None:
    assert not NOBODY.allows_everything and read_kept("{}").allows_everything
