"""Values to rows and back, and to JSON and back, as the tables' models say.

A `Shape` joins a value type of the model with its table. A row is a tuple of SQLite values in the
order of the columns, which is the order of the value's fields. The JSON form (of the changes log)
names its columns: a column that is missing takes the field's default, one that is unknown is
ignored, so that a batch survives a schema that grew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields as dataclass_fields
from operator import attrgetter
from typing import Any, Generic, TypeVar, cast

import peewee as pw

from meshbox.store import tables
from meshbox.tailnet.model import ApiKey, AuthKey, Node, Notice, PolicyVersion, Report, User
from meshbox.tailnet.ports import Kind

V = TypeVar("V")
Row = tuple[Any, ...]
Convert = Callable[[Any], Any]

PLAIN = frozenset((pw.AutoField, pw.TextField, pw.IntegerField, pw.FloatField))
"""Columns whose values SQLite takes and gives as they are."""


class Shape(Generic[V]):
    """How one type of value lies in its table. A column that is no field of the value (the node of
    a report) is left to the caller."""

    def __init__(self, value_type: type[V], model: type[tables.Table]) -> None:
        own = {field.name for field in dataclass_fields(cast(Any, value_type))}
        fields = [field for field in model._meta.sorted_fields if field.name in own]
        self.table: str = model._meta.table_name
        self.columns: tuple[str, ...] = tuple(field.name for field in fields)
        self.value_type = value_type
        self._make: Callable[..., V] = value_type
        self._read_fields: Callable[[V], Row] = attrgetter(*self.columns)
        self._encode = _conversions(fields, "db_value")
        self._decode = _conversions(fields, "python_value")
        self._blobs = frozenset(field.name for field in fields if isinstance(field, tables.BytesField))

    def to_row(self, value: V) -> Row:
        row = list(self._read_fields(value))
        for index, convert in self._encode:
            row[index] = convert(row[index])
        return tuple(row)

    def from_row(self, row: Row) -> V:
        cells = list(row)
        for index, convert in self._decode:
            cells[index] = convert(cells[index])
        return self._make(*cells)

    def to_json(self, value: V) -> dict[str, Any]:
        """Plain values by column name; bytes as hexadecimal digits."""
        cells = dict(zip(self.columns, self.to_row(value), strict=True))
        for name in self._blobs:
            if cells[name] is not None:
                cells[name] = cells[name].hex()
        return cells

    def from_json(self, cells: Mapping[str, Any]) -> V:
        """Raises ValueError or TypeError for what `to_json` never wrote."""
        known: dict[str, Any] = {name: cells[name] for name in self.columns if name in cells}
        for name in self._blobs & known.keys():
            if known[name] is not None:
                known[name] = bytes.fromhex(known[name])
        for index, convert in self._decode:
            name = self.columns[index]
            if name in known:
                known[name] = convert(known[name])
        return self._make(**known)

    @property
    def select(self) -> str:
        return f"SELECT {', '.join(self.columns)} FROM {self.table}"

    @property
    def upsert(self) -> str:
        """Insert, or replace the row with this id in place. Never `INSERT OR REPLACE`: that would
        delete another row that holds the same name."""
        marks = ", ".join("?" * len(self.columns))
        return (
            f"INSERT INTO {self.table} ({', '.join(self.columns)}) VALUES ({marks}) "
            f"ON CONFLICT (id) DO UPDATE SET {_replacements(self.columns[1:])}"
        )


def _replacements(columns: Sequence[str]) -> str:
    return ", ".join(f"{name} = excluded.{name}" for name in columns)


def _conversions(fields: Sequence[pw.Field[Any]], method: str) -> tuple[tuple[int, Convert], ...]:
    """(column index, function) for each column that is not passed through."""
    return tuple(
        (index, getattr(field, method)) for index, field in enumerate(fields) if type(field) not in PLAIN
    )


USERS = Shape(User, tables.Users)
NODES = Shape(Node, tables.Nodes)
AUTH_KEYS = Shape(AuthKey, tables.AuthKeys)
API_KEYS = Shape(ApiKey, tables.ApiKeys)
POLICIES = Shape(PolicyVersion, tables.Policies)
NOTICES = Shape(Notice, tables.Notices)
REPORTS = Shape(Report, tables.Reports)

UPSERT_REPORT = (
    f"INSERT INTO reports (node_id, {', '.join(REPORTS.columns)}) "
    # A node may have been deleted between its report and the flush.
    f"SELECT ?1, {', '.join('?' * len(REPORTS.columns))} WHERE EXISTS (SELECT 1 FROM nodes WHERE id = ?1) "
    f"ON CONFLICT (node_id) DO UPDATE SET {_replacements(REPORTS.columns)}"
)
"""Takes the node's id and the row of its report."""

SHAPES: Mapping[Kind, Shape[Any]] = {
    "user": USERS,
    "node": NODES,
    "auth_key": AUTH_KEYS,
    "api_key": API_KEYS,
    "policy": POLICIES,
    "notice": NOTICES,
}
KIND_OF: Mapping[type, Kind] = {
    User: "user",
    Node: "node",
    AuthKey: "auth_key",
    ApiKey: "api_key",
    PolicyVersion: "policy",
    Notice: "notice",
}
