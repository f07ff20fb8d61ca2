"""The models against the database the migration steps make."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path

import pytest

from meshbox.store import rows, tables
from meshbox.store.store import SqliteStore


@pytest.mark.parametrize("shape", [*rows.SHAPES.values(), rows.REPORTS], ids=lambda shape: shape.table)
def test_models_describe_the_tables(kept: SqliteStore, path: Path, shape: rows.Shape[object]) -> None:
    (model,) = [model for model in tables.Table.__subclasses__() if model._meta.table_name == shape.table]
    declared = {field.name: (field.field_type, not field.null) for field in model._meta.sorted_fields}
    affinity = {"AUTO": "INTEGER", "INT": "INTEGER", "BOOL": "INTEGER", "FLOAT": "REAL"}
    with closing(sqlite3.connect(path)) as raw:
        columns = raw.execute(f"PRAGMA table_info({shape.table})").fetchall()
    there = {name: (kind, bool(not_null or key)) for _, name, kind, not_null, _, key in columns}
    assert {n: (affinity.get(k, k), required) for n, (k, required) in declared.items()} == there
    assert list(declared) == list(there)


def test_lists_that_rows_share_are_kept_once() -> None:
    tags, prefixes = tables.Nodes.tags, tables.Nodes.approved_routes
    assert tags.python_value('["tag:a"]') is tags.python_value('["tag:a"]') == ("tag:a",)
    assert prefixes.python_value('["10.0.0.0/8"]') == (ip_network("10.0.0.0/8"),)


@pytest.mark.parametrize("text", ['["10.0.0.1/8"]', '["x"]', "{", '[["10.0.0.0/8"]]'])
def test_a_list_nobody_wrote_is_not_read(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        tables.Nodes.approved_routes.python_value(text)
