"""Fields of a DERP map document: one spelling for two, and errors that say where."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Invalid
from meshbox.wire.derpfields import Fields

GETTERS: list[Callable[[Fields], object]] = [
    lambda fields: fields.child("f", "inner"),
    lambda fields: fields.children("f", "inner"),
    lambda fields: fields.text("f", 8),
    lambda fields: fields.integer("f", 0, 9),
    lambda fields: fields.number("f", 0.0, 9.0),
    lambda fields: fields.flag("f"),
    lambda fields: fields.host("f"),
    lambda fields: fields.address("f", 4),
    lambda fields: fields.address("f", 6),
    lambda fields: fields.pin_or_host("f", "sha256-raw:"),
]

ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("get", GETTERS)
@given(value=ANY)
def test_any_value_is_taken_or_invalid_with_its_place(get: Callable[[Fields], object], value: object) -> None:
    try:
        get(Fields("here", {"f": value}))
    except Invalid as problem:
        assert str(problem).startswith("here")


def test_a_field_is_found_in_any_case() -> None:
    assert Fields("map", {"HostName": "a.example.org"}).host("hostname") == "a.example.org"
    assert Fields("map", {"hostname": "a.example.org"}).host("hostname") == "a.example.org"


def test_places_add_up() -> None:
    inner = Fields("map", {"nodes": [{"f": 1}]}).children("nodes", "node")[0]
    with pytest.raises(Invalid, match=r"^map, node 1: f is 1"):
        inner.flag("f")
    with pytest.raises(Invalid, match=r"^map, node 'a': f is 1"):
        inner.called("node 'a'").flag("f")
    child = Fields("map", {"deep": {"f": 1}}).child("deep")
    assert child is not None
    with pytest.raises(Invalid, match=r"^map: f is 1"):
        child.flag("f")


def test_only_a_strict_document_minds_unknown_fields() -> None:
    values = {"hostname": "a", "hostnmae": "b"}
    lenient, strict = Fields("map", values), Fields("map", values, is_strict=True)
    for fields in (lenient, strict):
        fields.host("hostname")
    lenient.done()
    with pytest.raises(Invalid, match="unknown key 'hostnmae'; did you mean 'hostname'"):
        strict.done()
    strict.skip("hostnmae")
    strict.done()


def test_a_number_where_a_text_belongs_is_its_digits() -> None:
    # `name: 900` in YAML; Go reads it as a text as well.
    assert Fields("map", {"name": 900}).text("name", 8) == "900"


@pytest.mark.parametrize(
    "host", ["a", "a.b", "a_b.example", "A.Example.", "192.0.2.1", "2001:db8::1", "x" * 63]
)
def test_a_host(host: str) -> None:
    assert Fields("map", {"f": host}).host("f") == host


@pytest.mark.parametrize(
    "host", ["", "a b", ".a", "a..b", "-a", "a-", "x" * 64, "ä.example", "fe80::1%lo", "a/b", "a\n"]
)
def test_not_a_host(host: str) -> None:
    with pytest.raises(Invalid):
        Fields("map", {"f": host}).host("f")
