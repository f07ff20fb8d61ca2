"""Values to rows, through SQLite itself, and to JSON: what comes back equals what went in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshbox import store
from meshbox.store import journal
from meshbox.store.rows import API_KEYS, AUTH_KEYS, NODES, NOTICES, POLICIES, REPORTS, SHAPES, USERS, Shape
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import Audit
from meshbox.tailnet.ports import Delete, Put, Spend
from tests.store import values
from tests.store.samples import START, node, user

CASES: list[tuple[Shape[Any], st.SearchStrategy[Any]]] = [
    (USERS, values.users),
    (NODES, values.nodes),
    (AUTH_KEYS, values.auth_keys),
    (API_KEYS, values.api_keys),
    (POLICIES, values.policies),
    (NOTICES, values.notices),
    (REPORTS, values.reports),
]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqliteStore]:
    opened = store.open(tmp_path_factory.mktemp("rows") / "mesh.sqlite", START)
    opened.commit([Put(user(1)), Put(node(1))])
    yield opened
    opened.close()


def is_exactly(value: Any, other: Any) -> bool:
    """Equal, and of equal types in every field: 1 is not True, a NodeKey is not bytes."""
    pairs = [(getattr(value, field.name), getattr(other, field.name)) for field in fields(value)]
    return value == other and all(type(a) is type(b) for a, b in pairs)


@pytest.mark.parametrize(("shape", "strategy"), CASES, ids=lambda case: getattr(case, "table", ""))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_row_holds_the_value(
    kept: SqliteStore, shape: Shape[Any], strategy: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(strategy)
    raw = kept._connection.raw
    marks = ", ".join("?" * len(shape.columns))
    # A bare table of the same columns: rules between rows are not what is asked here.
    raw.execute(f"CREATE TEMP TABLE IF NOT EXISTS bare_{shape.table} AS SELECT * FROM {shape.table} WHERE 0")
    raw.execute(f"DELETE FROM bare_{shape.table}")
    raw.execute(
        f"INSERT INTO bare_{shape.table} ({', '.join(shape.columns)}) VALUES ({marks})", shape.to_row(value)
    )
    (row,) = raw.execute(f"SELECT {', '.join(shape.columns)} FROM bare_{shape.table}")
    assert is_exactly(shape.from_row(row), value)


@pytest.mark.parametrize(("shape", "strategy"), CASES, ids=lambda case: getattr(case, "table", ""))
@given(data=st.data())
def test_json_holds_the_value(
    shape: Shape[Any], strategy: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    value = data.draw(strategy)
    assert is_exactly(shape.from_json(orjson.loads(orjson.dumps(shape.to_json(value)))), value)


@given(st.one_of(values.users, values.nodes, values.auth_keys, values.api_keys))
def test_every_step_survives_the_changes_log(value: Any) -> None:
    kind = next(kind for kind, shape in SHAPES.items() if isinstance(value, shape.value_type))
    audit = Audit(1.5, value.__class__.__name__, "a", "b", "c")
    for step in (Put(value), Delete(kind, value.id), Spend(value.id, 2.5), audit):
        assert journal.from_json(orjson.loads(orjson.dumps(journal.to_json(step)))) == step


def test_json_from_another_schema_takes_defaults_and_drops_what_is_unknown() -> None:
    cells = NODES.to_json(node(1, hostname=""))
    del cells["hostname"]
    cells["colour"] = "green"
    assert NODES.from_json(cells) == node(1, hostname="")


@pytest.mark.parametrize("shape", SHAPES.values(), ids=lambda shape: shape.table)
def test_columns_are_the_fields_in_order(shape: Shape[Any]) -> None:
    assert shape.columns == tuple(field.name for field in fields(shape.value_type))
