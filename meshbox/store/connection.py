"""One connection to a database file: our pragmas, and transactions that leave it usable.

Hard facts are committed with synchronous=FULL (an fsync each, an acknowledged fact survives a
power cut); soft ones with NORMAL (no fsync: a power cut may take the newest, never the order).
Both go to the same write-ahead log, so a later hard commit also makes earlier soft ones durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import peewee as pw

from meshbox.errors import StoreBroken
from meshbox.store.faults import explained

BUSY_SECONDS = 1.0
"""How long a write waits for another program's lock. The server waits with it, so it is short."""

WAL_KEPT_BYTES = 16 * 1024 * 1024
"""What stays of the write-ahead log's file after a burst."""

PRAGMAS = {
    "journal_mode": "wal",
    "synchronous": "full",
    "foreign_keys": 1,
    "journal_size_limit": WAL_KEPT_BYTES,
    # A file from elsewhere must not run functions through its views and triggers.
    "trusted_schema": 0,
    "cell_size_check": 1,
}


class Connection:
    """Used by one thread. `subject` names the database in messages."""

    def __init__(self, path: Path, subject: str) -> None:
        self.path = path
        self.subject = subject
        self._database = _database(path)
        with explained(subject):
            try:
                self.raw: sqlite3.Connection = _connect(self._database)
                self._check_journal()
            except BaseException:
                self._database.close()
                raise

    def _check_journal(self) -> None:
        (mode,) = self.raw.execute("PRAGMA journal_mode").fetchone()
        if mode != "wal":
            raise StoreBroken(
                f"{self.subject} lies where SQLite cannot keep a write-ahead log (journal mode {mode}): "
                "move it to a local disk"
            )

    @contextmanager
    def writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        """A write transaction: all of it or, after any exception, none. With `durable` it is on
        the disk when the block ends. Raises StoreFull, StoreBroken; IntegrityError passes."""
        with explained(self.subject):
            if not durable:
                self.raw.execute("PRAGMA synchronous = NORMAL")
            try:
                with self._transaction("BEGIN IMMEDIATE"):
                    yield self.raw
            finally:
                if not durable:
                    self.raw.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One snapshot for all reads of the block."""
        with explained(self.subject), self._transaction("BEGIN"):
            yield self.raw

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.raw.execute(begin)
        try:
            yield
            self.raw.execute("COMMIT")
        except BaseException:
            # SQLite itself rolls back after most disk errors; what it left open must not stay open.
            if self.raw.in_transaction:
                with suppress(sqlite3.Error):
                    self.raw.execute("ROLLBACK")
            raise

    def fold(self) -> None:
        """Move all of the write-ahead log into the database file, and say so when that fails:
        closing does the same, but in silence."""
        with explained(self.subject):
            is_busy, _, _ = self.raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise StoreBroken(f"{self.subject} is locked by another program: close it")

    def close(self) -> None:
        self._database.close()


def _database(path: Path) -> Any:
    return pw.SqliteDatabase(str(path), pragmas=PRAGMAS, timeout=BUSY_SECONDS, thread_safe=False)


def _connect(database: Any) -> sqlite3.Connection:
    """peewee wraps sqlite3's errors in its own, without their codes; the one inside is wanted."""
    try:
        connection: sqlite3.Connection = database.connection()
    except pw.PeeweeException as error:
        if isinstance(error.__context__, sqlite3.Error):
            raise error.__context__ from None
        raise
    return connection
