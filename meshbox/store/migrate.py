"""From no database or an old one to the newest schema.

All steps that are due run in one transaction, after a backup was taken: an upgrade that fails
leaves the database as it was, for the version that wrote it. There is no way back down; a
database from the future is refused with the versions in the sentence.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from meshbox import __version__
from meshbox.errors import StoreBroken, StoreFull, StoreNewer
from meshbox.store import files, snapshot
from meshbox.store.connection import Connection
from meshbox.store.faults import explain, explained
from meshbox.store.steps import MIGRATIONS, Migration


@dataclass(frozen=True, slots=True)
class Schema:
    """What opening did. `found` is 0 for a new database; `backup` is the copy taken before an
    upgrade."""

    found: int
    current: int
    backup: Path | None = None


def create(path: Path, now: float, migrations: Sequence[Migration] = MIGRATIONS) -> Schema:
    """A new, empty database at `path`: it appears complete or not at all."""
    draft = files.start_draft(path)
    connection = None
    try:
        connection = Connection(draft, str(path))
        with connection.writing() as raw:
            raw.execute(f"PRAGMA application_id = {files.APPLICATION_ID}")
            _run(raw, migrations, now)
        connection.fold()
        connection.close()
        files.publish(draft, path)
    except BaseException:
        if connection is not None:
            connection.close()
        files.discard(draft)
        raise
    return Schema(0, migrations[-1].version)


def upgrade(path: Path, now: float, migrations: Sequence[Migration] = MIGRATIONS) -> Schema:
    """Bring the existing database at `path` to the newest schema. Raises StoreNewer, StoreBroken,
    StoreFull; then the database is what it was."""
    connection = Connection(path, str(path))
    try:
        with explained(str(path)):
            found = check_version(connection.raw, str(path), migrations)
        due = [step for step in migrations if step.version > found]
        if not due:
            return Schema(found, found)
        backup = _back_up(path, found, due[-1].version)
        try:
            _migrate(connection, due, now)
        except StoreFull as error:
            raise StoreFull(f"{error}; the upgrade was undone, nothing has changed") from error
        except (sqlite3.Error, StoreBroken) as error:
            raise StoreBroken(
                f"{path} could not be brought from schema {found} to {due[-1].version} ({error}): nothing "
                f"has changed, so the previous meshbox still works with it; a copy is {backup}"
            ) from error
        return Schema(found, due[-1].version, backup)
    finally:
        connection.close()


def check_version(raw: sqlite3.Connection, subject: str, migrations: Sequence[Migration] = MIGRATIONS) -> int:
    """The schema the database has. Raises StoreNewer when it is beyond ours, and sqlite3 errors."""
    newest = migrations[-1].version
    newest_row = raw.execute("SELECT version, applied_by FROM schema_version ORDER BY version DESC LIMIT 1")
    found, writer = newest_row.fetchone() or (0, "")
    if found > newest:
        raise StoreNewer(
            f"{subject} has schema {found}, written by meshbox {writer}; this is meshbox "
            f"{__version__}, which knows up to {newest}: install meshbox {writer} or newer again, "
            "or restore the copy taken before that upgrade"
        )
    return int(found)


def _back_up(path: Path, found: int, target: int) -> Path:
    """A copy under a fixed name: an upgrade that fails at each start must not fill the disk."""
    backup = path.with_name(f"{path.name}.schema-{found}.backup")
    try:
        snapshot.copy(path, backup, snapshot.check_pages)
    except StoreFull as error:
        raise StoreFull(
            f"{error}: the upgrade to schema {target} needs a backup first and was not begun"
        ) from error
    return backup


def _migrate(connection: Connection, due: Sequence[Migration], now: float) -> None:
    # A step that rebuilds a table would trip over references to it; they are checked at the end.
    connection.raw.execute("PRAGMA foreign_keys = OFF")
    with connection.writing() as raw:
        _run(raw, due, now)
        dangling = raw.execute("PRAGMA foreign_key_check").fetchone()
        if dangling is not None:
            raise StoreBroken(f"it left a row in {dangling[0]} that refers to nothing in {dangling[2]}")


def _run(raw: sqlite3.Connection, migrations: Sequence[Migration], now: float) -> None:
    for step in migrations:
        try:
            step.apply(raw)
        except sqlite3.IntegrityError as error:
            raise StoreBroken(f"step {step.version} {step.name}: {error}") from error
        except sqlite3.Error as error:
            told = explain(error, f"step {step.version} {step.name}")
            raise told from error
        raw.execute(
            "INSERT INTO schema_version (version, name, applied_at, applied_by) VALUES (?, ?, ?, ?)",
            (step.version, step.name, now, __version__),
        )
