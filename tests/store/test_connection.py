"""Transactions: durable or not, always whole, and the connection outlives every failure."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from meshbox.errors import Conflict, StoreBroken
from meshbox.store.connection import Connection
from meshbox.store.store import SqliteStore
from meshbox.tailnet.ports import Delete, Put
from tests.store.samples import report, user


def test_hard_facts_are_synced_and_soft_ones_are_not(kept: SqliteStore) -> None:
    raw = kept._connection.raw
    modes: list[int] = []
    raw.set_trace_callback(
        lambda sql: modes.append(raw.execute("PRAGMA synchronous").fetchone()[0]) if sql == "COMMIT" else None
    )
    kept.commit([Put(user(1))])
    kept.flush({1: report(1)})
    with pytest.raises(Conflict):
        kept.commit([Delete("user", 7)])
    kept.commit([Put(user(2))])
    full, normal = 2, 1
    assert modes == [full, normal, full]


def test_any_exception_rolls_back(kept: SqliteStore) -> None:
    connection = kept._connection
    for error in (ValueError("ours"), KeyboardInterrupt(), sqlite3.IntegrityError("row")):
        with pytest.raises(type(error)), connection.writing() as raw:
            raw.execute("UPDATE probe SET count = 1000")
            raise error
        assert not connection.raw.in_transaction
    with connection.reading() as raw:
        assert raw.execute("SELECT count FROM probe").fetchone()[0] < 1000


def test_a_statement_the_database_does_not_know_is_a_broken_store(kept: SqliteStore) -> None:
    with pytest.raises(StoreBroken, match="no such table: nowhere"), kept._connection.writing() as raw:
        raw.execute("DELETE FROM nowhere")
    kept.commit([Put(user(1))])


def test_reading_is_one_snapshot(kept: SqliteStore) -> None:
    kept.commit([Put(user(1))])
    with (
        closing(sqlite3.connect(kept.path, isolation_level=None)) as other,
        kept._connection.reading() as raw,
    ):
        count = "SELECT count(*) FROM users"
        before = raw.execute(count).fetchone()
        other.execute("DELETE FROM users")
        assert raw.execute(count).fetchone() == before == (1,)


def test_where_no_log_can_be_kept_is_refused() -> None:
    with pytest.raises(StoreBroken, match="move it to a local disk"):
        Connection(Path(":memory:"), "here")


def test_fold_leaves_nothing_in_the_log_or_says_so(kept: SqliteStore, path: Path) -> None:
    kept.commit([Put(user(1))])
    log = path.with_name("mesh.sqlite-wal")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM users").fetchall()
        with pytest.raises(StoreBroken, match="locked by another program"):
            kept._connection.fold()
        other.execute("COMMIT")
    kept._connection.fold()
    assert log.stat().st_size == 0
