"""Backup and restore: one file out, one file in, both judged before they count.

A backup is taken from a running server, in its process or beside it, and read back in full
before it gets its name. A restore needs the server stopped, refuses a backup that is damaged or
from a newer meshbox, and keeps the database it replaces.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from meshbox.errors import NotFound, Refused, StoreError
from meshbox.store import audit, contents, files, snapshot
from meshbox.store.connection import Connection
from meshbox.store.faults import explained
from meshbox.store.lock import Lock
from meshbox.store.migrate import check_version
from meshbox.store.steps import MIGRATIONS


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a backup holds. The counts are None when its schema is older than ours: opening the
    restored database upgrades it. `broken_audit_row` is where the audit's chain breaks, if it does."""

    schema: int
    generation: int | None = None
    users: int | None = None
    nodes: int | None = None
    broken_audit_row: int | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """`replaced` is where the database that was there before has gone."""

    inspection: Inspection
    replaced: Path | None


def save(source: Path, target: Path) -> Inspection:
    """Back the database at `source` up to the file `target`. Raises NotFound, StoreError; then
    an earlier backup of that name is still there."""
    _require(source, "database")
    if target.exists() and target.samefile(source):
        raise Refused(f"{target} is the database itself: name another file for the backup")
    files.make_directory(target.parent)
    return snapshot.copy(source, target, _inspect)


def inspect(path: Path) -> Inspection:
    """Look a backup through where it lies. Raises NotFound, StoreBroken, StoreNewer."""
    _require(path, "backup")
    with explained(str(path)), closing(sqlite3.connect(path, isolation_level=None)) as raw:
        return _inspect(raw)


def restore(backup: Path, path: Path, *, force: bool = False) -> Restored:
    """Make the database at `path` what `backup` holds. Raises NotFound, Refused (a database is
    there and `force` was not given), StoreBroken (a server uses it, or the backup is no good),
    StoreNewer, StoreFull; then nothing has changed."""
    _require(backup, "backup")
    path = files.resolve(path)
    files.make_directory(path.parent)
    lock = Lock(path)
    try:
        return put_in_place(backup, path, force=force)
    finally:
        lock.release()


def put_in_place(backup: Path, path: Path, *, force: bool = False) -> Restored:
    """The same, for who holds the lock of the database. `path` is a file, not a link."""
    is_taken = path.exists() or files.side_file(path, "-wal").exists()
    if is_taken and not force:
        raise Refused(f"there is already a database at {path}: force the restore to move it aside")
    staged = path.with_name(path.name + ".restored")
    inspection = snapshot.copy(backup, staged, _inspect)
    try:
        with explained(str(path)):
            replaced = _set_aside(path) if is_taken else None
            files.publish(staged, path)
    except BaseException:
        files.discard(staged)
        raise
    return Restored(inspection, replaced)


def _require(path: Path, what: str) -> None:
    """Raises NotFound, or what `files.exists` says of a file that is no database of ours."""
    if not files.exists(path):
        raise NotFound(f"there is no {what} at {path}")


def _inspect(raw: sqlite3.Connection) -> Inspection:
    snapshot.check_pages(raw)
    schema = check_version(raw, "the backup")
    if schema < MIGRATIONS[-1].version:
        return Inspection(schema)
    held = contents.read(raw)
    return Inspection(schema, held.generation, len(held.users), len(held.nodes), audit.broken_row(raw))


def _set_aside(path: Path) -> Path:
    """Keep the old database under another name, and its log with it. `path` goes on naming it
    until the new one takes its place: a crash here must not leave room for an empty tailnet."""
    with suppress(StoreError):
        # A healthy database folds its log into itself when it is opened and closed.
        if files.exists(path):
            Connection(path, str(path)).close()
    aside = next(name for n in count(1) if not (name := path.with_name(f"{path.name}.replaced-{n}")).exists())
    for suffix in ("", "-wal"):
        old = files.side_file(path, suffix)
        if old.exists():
            os.link(old, files.side_file(aside, suffix))
    files.side_file(path, "-wal").unlink(missing_ok=True)
    files.side_file(path, "-shm").unlink(missing_ok=True)
    return aside
