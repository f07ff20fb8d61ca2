from __future__ import annotations

from meshbox.policy.words import MAX_PAIRS, Known
from tests.policy.build import acl
from tests.policy.refusals import refusal


def test_domains_are_compared_as_written_and_unknown_ones_are_all_fine() -> None:
    known = Known(frozenset({"example.com"}))
    assert known.has_domain("example.com") and not known.has_domain("Example.com")
    assert Known().has_domain("anything.org")


def test_one_rule_does_not_expand_without_end() -> None:
    many = " ".join(["*"] * 400)
    message = refusal(acls=[acl(many, " ".join(["*:*"] * 400))])
    assert message.startswith(f"acls[0] expands to more than {MAX_PAIRS} pairs")
