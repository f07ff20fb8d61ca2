"""The audit chain: each way to tamper with it is found at its row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from meshbox.errors import Conflict
from meshbox.store import audit
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import Audit
from meshbox.tailnet.ports import Delete
from tests.store.samples import START

ENTRIES = [Audit(START + number, f"cli:{number}", "node.rename", f"box-{number}", "é") for number in range(5)]


@pytest.fixture
def filled(kept: SqliteStore) -> SqliteStore:
    for entry in ENTRIES:
        kept.commit([entry])
    return kept


def broken(kept: SqliteStore) -> int | None:
    with kept._connection.reading() as raw:
        return audit.broken_row(raw)


def tamper(kept: SqliteStore, sql: str) -> None:
    """As somebody with the file in hand would, around the triggers."""
    with kept._connection.writing() as raw:
        raw.execute("DROP TRIGGER audit_keeps_rows")
        raw.execute("DROP TRIGGER audit_keeps_words")
        raw.execute(sql)


def test_entries_are_kept_in_order_and_the_chain_holds(filled: SqliteStore) -> None:
    assert filled.newest_audit(3) == ENTRIES[:1:-1]
    assert filled.newest_audit(99) == ENTRIES[::-1]
    assert broken(filled) is None


def test_an_empty_chain_holds(kept: SqliteStore) -> None:
    assert broken(kept) is None
    assert kept.newest_audit(3) == []


def test_a_refused_batch_leaves_no_entry_and_no_gap(filled: SqliteStore) -> None:
    with pytest.raises(Conflict):
        filled.commit([ENTRIES[0], Delete("node", 9)])
    filled.commit([ENTRIES[0], ENTRIES[1]])
    assert len(filled.newest_audit(99)) == 7
    assert broken(filled) is None


@pytest.mark.parametrize(
    "sql", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit", "DELETE FROM audit WHERE id = 1"]
)
def test_the_database_keeps_what_was_written(filled: SqliteStore, sql: str) -> None:
    with (
        pytest.raises(sqlite3.IntegrityError, match="the audit is append-only"),
        filled._connection.writing() as raw,
    ):
        raw.execute(sql)
    assert broken(filled) is None


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("UPDATE audit SET actor = 'x' WHERE id = 3", 3),
        ("UPDATE audit SET at = at + 0.5 WHERE id = 1", 1),
        ("UPDATE audit SET detail = object, object = detail WHERE id = 2", 2),
        ("UPDATE audit SET hash = zeroblob(32) WHERE id = 5", 5),
        ("UPDATE audit SET id = 9 WHERE id = 5", 5),
        ("DELETE FROM audit WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 5", 5),
        ("DELETE FROM audit", 1),
        ("INSERT INTO audit SELECT 6, at, actor, action, object, detail, hash FROM audit WHERE id = 5", 6),
    ],
)
def test_tampering_is_found_at_its_row(filled: SqliteStore, sql: str, row: int) -> None:
    tamper(filled, sql)
    assert broken(filled) == row


def test_an_entry_belongs_to_its_place(filled: SqliteStore) -> None:
    seal: Callable[..., bytes] = audit._seal
    row = (2, START, "a", "b", "c", "")
    assert len({seal(bytes(32), row), seal(bytes(31) + b"1", row), seal(bytes(32), (3, *row[1:]))}) == 3
