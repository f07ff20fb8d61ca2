"""What SQLite and the disk complain of becomes one sentence with the way out."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path

import pytest

from meshbox.errors import StoreBroken, StoreError, StoreFull
from meshbox.store.faults import explain, explain_os, explained

CODES: list[tuple[int, type[StoreError], str]] = [
    (sqlite3.SQLITE_FULL, StoreFull, "no space left for the database: free some space"),
    (sqlite3.SQLITE_READONLY_DBMOVED, StoreFull, "cannot be written"),
    (sqlite3.SQLITE_READONLY, StoreFull, "must|belong to the server's user"),
    (sqlite3.SQLITE_IOERR_FSYNC, StoreFull, "the disk fails under the database"),
    (sqlite3.SQLITE_CANTOPEN, StoreFull, "cannot be opened"),
    (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBroken, "locked by another program"),
    (sqlite3.SQLITE_CORRUPT, StoreBroken, "damaged .*restore a backup"),
    (sqlite3.SQLITE_NOTADB, StoreBroken, "damaged"),
    (sqlite3.SQLITE_MISUSE, StoreBroken, "refused a statement"),
]


@pytest.mark.parametrize(("code", "kind", "sentence"), CODES)
def test_each_code_has_its_sentence(code: int, kind: type[StoreError], sentence: str) -> None:
    error = sqlite3.OperationalError("text of SQLite")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_NAME"
    told = explain(error, "the database")
    assert type(told) is kind
    with pytest.raises(kind, match=sentence), explained("the database"):
        raise error


def test_an_error_without_a_code_is_told_too() -> None:
    assert isinstance(explain(sqlite3.ProgrammingError("closed"), "the database"), StoreBroken)


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, StoreFull),
        (errno.EDQUOT, StoreFull),
        (errno.EROFS, StoreFull),
        (errno.EACCES, StoreFull),
        (errno.EIO, StoreFull),
        (errno.ENOTDIR, StoreBroken),
    ],
)
def test_each_errno_has_its_kind(number: int, kind: type[StoreError]) -> None:
    told = explain_os(OSError(number, "why"), "db.sqlite")
    assert type(told) is kind
    assert "db.sqlite" in str(told)


def test_what_is_not_of_the_disk_passes_through(tmp_path: Path) -> None:
    for error in (sqlite3.IntegrityError("row"), ValueError("ours"), StoreFull("told")):
        with pytest.raises(type(error), match=str(error)), explained("the database"):
            raise error
