from __future__ import annotations

import pytest

from meshbox.policy.cursor import Cursor
from meshbox.policy.problem import PolicyError, Spot
from meshbox.wire import hujson


def cursor(text: str) -> Cursor:
    source = hujson.parse(text)
    return Cursor(source, (), source.value)


def test_keys_are_read_without_regard_to_case_and_null_is_absent() -> None:
    fields = cursor('{"TagOwners": {}, "acls": null}').fields(("tagOwners", "acls"))
    assert list(fields) == ["tagOwners"]


@pytest.mark.parametrize(
    ("text", "message", "spot"),
    [
        ('{\n  "aclz": []}', 'json: unknown field "aclz"', Spot(2, 3)),
        ('{"acls": [],\n "ACLs": []}', '"ACLs" is given twice, in different spellings', Spot(2, 2)),
        ("[]", "policy must be an object, not a list", Spot(1, 1)),
    ],
)
def test_wrong_keys(text: str, message: str, spot: Spot) -> None:
    with pytest.raises(PolicyError) as error:
        cursor(text).fields(("acls",))
    assert (str(error.value), error.value.spot) == (message, spot)


def test_wrong_kinds_are_named_with_their_place() -> None:
    item = cursor('{"acls": [\n {"src": 5}]}').fields(("acls",))["acls"].items()[0]
    with pytest.raises(PolicyError, match=r"acls\[0\]\.src must be a list, not a number") as error:
        item.fields(("src",))["src"].items()
    assert error.value.spot == Spot(2, 10)
    with pytest.raises(PolicyError, match="must be a string"):
        item.fields(("src",))["src"].text()
    with pytest.raises(PolicyError, match="must be a boolean"):
        item.fields(("src",))["src"].boolean()
