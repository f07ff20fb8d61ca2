"""Every example of docs/policy.md is a policy that works, and every section has one."""

from __future__ import annotations

import re

import pytest

from meshbox.policy.reading import SECTIONS, read
from meshbox.policy.words import Known
from meshbox.policy.yamlform import read as read_text
from tests.house.tree import ROOT

PAGE = (ROOT / "docs" / "policy.md").read_text()
EXAMPLES = re.findall(r"^```(?:json|yaml)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WITHOUT_EXAMPLE = {"attrConfig"}
"""Refused, so an example would not be a policy that works."""


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_an_example_is_a_policy(text: str) -> None:
    read(read_text(text), Known(frozenset({"example.com"})))


def test_every_section_is_shown() -> None:
    shown = {key for text in EXAMPLES for key in (read_text(text).value or {})}  # type: ignore[union-attr]
    assert set(SECTIONS) - shown == WITHOUT_EXAMPLE


def test_json_and_yaml_say_the_same() -> None:
    assert read_text(EXAMPLES[0]).value == read_text(EXAMPLES[1]).value
