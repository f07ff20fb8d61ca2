from __future__ import annotations

import pytest

from meshbox.errors import Invalid
from meshbox.tailnet.tags import check_tags


def test_tags_are_sorted_and_each_once() -> None:
    assert check_tags(["tag:b", "tag:a", "tag:b"]) == ("tag:a", "tag:b")


@pytest.mark.parametrize("tag", ["a", "tag:", "tag:A", "tag:1a", "tag:a b", "TAG:a", "tag:" + "a" * 70])
def test_malformed_tags_are_named(tag: str) -> None:
    with pytest.raises(Invalid, match="is not a tag"):
        check_tags(["tag:ok", tag])


def test_too_many_tags() -> None:
    with pytest.raises(Invalid, match="at most 50"):
        check_tags([f"tag:t{number}" for number in range(51)])
