"""The audit chain: each way to tamper with it is found at its row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

import pytest

from meshbox.errors import Conflict
from meshbox.store import audit
from meshbox.store.audit import Search
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


def test_old_rows_go_and_the_chain_goes_on(filled: SqliteStore) -> None:
    assert filled.trim_audit(START + 2, START + 9) == 2
    assert broken(filled) is None
    kept = filled.search_audit(Search())
    assert [entry.id for entry in kept] == [6, 5, 4, 3]
    assert (kept[0].audit.action, kept[0].audit.object) == ("audit.trim", "rows 1 to 2")
    assert filled.trim_audit(START + 2, START + 9) == 0
    filled.commit([ENTRIES[0]])
    # Everything, the note of the first trim among it.
    assert filled.trim_audit(START + 99, START + 100) == 5
    assert [entry.audit.object for entry in filled.search_audit(Search())] == ["rows 3 to 7"]
    assert broken(filled) is None
    assert filled.trim_audit(START, START + 101) == 0


def test_a_trim_takes_its_time(filled: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "TRIM_SLICE", 2)
    assert [filled.trim_audit(START + 4, START + 9) for _ in range(4)] == [2, 2, 0, 0]
    assert broken(filled) is None


def test_a_clock_that_ran_ahead_tears_no_hole(filled: SqliteStore) -> None:
    filled.commit([Audit(START + 1_000_000, "a", "b", "c")])
    filled.commit([Audit(START + 6, "a", "b", "c")])
    assert filled.trim_audit(START + 500_000, START + 500_001) == 5
    assert broken(filled) is None


def test_after_a_trim_the_database_refuses_as_before(filled: SqliteStore) -> None:
    filled.trim_audit(START + 2, START + 9)
    test_the_database_keeps_what_was_written(filled, "DELETE FROM audit WHERE id = 3")


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("UPDATE audit SET actor = 'x' WHERE id = 4", 4),
        ("DELETE FROM audit WHERE id = 3", 1),
        ("UPDATE audit SET detail = '{}' WHERE action = 'audit.trim'", 1),
        ("DELETE FROM audit WHERE action = 'audit.trim'", 1),
    ],
)
def test_tampering_after_a_trim_is_found(filled: SqliteStore, sql: str, row: int) -> None:
    filled.trim_audit(START + 2, START + 9)
    tamper(filled, sql)
    assert broken(filled) == row


def test_the_audit_is_searched(filled: SqliteStore) -> None:
    def ids(**wanted: object) -> list[int]:
        return [entry.id for entry in filled.search_audit(Search(**wanted))]  # type: ignore[arg-type]

    assert ids() == [5, 4, 3, 2, 1]
    assert (
        ids(actor="cli:2") == [3]
        and ids(object="box-0") == [1]
        and ids(action="node.rename", limit=2) == [5, 4]
    )
    assert ids(since=START + 1, until=START + 3) == [3, 2]
    assert ids(before=3) == [2, 1] and ids(actor="' OR 1 --") == []
