"""The changes table: every committed batch under its generation, for other instances to follow.

Written in the same transaction as the rows it describes, so the order of generations is the
order of the facts. Bounded: a reader further behind than the table must load everything again.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from meshbox import fastjson
from meshbox.errors import StoreBroken
from meshbox.store.rows import KIND_OF, SHAPES
from meshbox.tailnet.model import Audit
from meshbox.tailnet.ports import Committed, Delete, Put, Spend, Step

CHANGES_KEPT = 1000
"""Batches that can be read back."""

TRIM_EVERY = 100
"""Batches between two trims: a delete with each commit would cost a third of the commit."""


def append(connection: sqlite3.Connection, steps: Sequence[Step]) -> int:
    """Note the batch and return its generation."""
    text = fastjson.dumps([to_json(step) for step in steps]).decode()
    generation = connection.execute("INSERT INTO changes (steps) VALUES (?)", (text,)).lastrowid
    assert generation is not None
    if generation % TRIM_EVERY == 0:
        connection.execute("DELETE FROM changes WHERE generation <= ?", (generation - CHANGES_KEPT,))
    return generation


def generation(connection: sqlite3.Connection) -> int:
    """The newest generation; 0 before the first."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return int(row[0]) if row else 0


def since(connection: sqlite3.Connection, cursor: int) -> list[Committed]:
    """Batches after `cursor`, oldest first. Raises StoreBroken when some are no longer kept."""
    rows = connection.execute(
        "SELECT generation, steps FROM changes WHERE generation > ? ORDER BY generation", (cursor,)
    ).fetchall()
    oldest = rows[0][0] if rows else generation(connection) + 1
    if oldest > cursor + 1:
        raise StoreBroken(f"the changes after {cursor} are no longer kept: load the database again")
    return [
        Committed(number, tuple(from_json(step) for step in fastjson.loads(text))) for number, text in rows
    ]


def to_json(step: Step) -> dict[str, Any]:
    match step:
        case Put(value=value):
            kind = KIND_OF[type(value)]
            return {"put": kind, "value": SHAPES[kind].to_json(value)}
        case Delete():
            return {"delete": step.kind, "id": step.id}
        case Spend():
            return {"spend": step.auth_key_id, "at": step.at}
        case Audit():
            return {"audit": asdict(step)}


def from_json(data: Mapping[str, Any]) -> Step:
    if "put" in data:
        return Put(SHAPES[data["put"]].from_json(data["value"]))
    if "delete" in data:
        return Delete(data["delete"], data["id"])
    if "spend" in data:
        return Spend(data["spend"], data["at"])
    return Audit(**data["audit"])
