"""The store on SQLite: hard facts in durable transactions, soft facts beside them.

`open` guards the file, brings its schema up to date and checks it; what it returns implements
`ports.Store`. Used by one thread. Every failure leaves the database and the connection as before
the call: the server goes on answering reads while the disk is full, and writes work again as
soon as there is room.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from meshbox.errors import StoreBroken
from meshbox.store import audit, contents, files, journal, migrate
from meshbox.store.clashes import clash, not_there
from meshbox.store.connection import Connection
from meshbox.store.faults import explained
from meshbox.store.lock import Lock
from meshbox.store.migrate import Schema
from meshbox.store.rows import KIND_OF, REPORTS, SHAPES, UPSERT_REPORT
from meshbox.store.snapshot import page_fault
from meshbox.tailnet.model import Audit, PolicyEntry, PolicyVersion, Report
from meshbox.tailnet.ports import Committed, Delete, Kind, Put, Saved, Spend, Step

UPSERT = {kind: shape.upsert for kind, shape in SHAPES.items()}
DELETE = {kind: f"DELETE FROM {shape.table} WHERE id = ?" for kind, shape in SHAPES.items()}
SPEND = "UPDATE auth_keys SET used_at = ? WHERE id = ? AND used_at IS NULL"
PROBE = "UPDATE probe SET count = count + 1"


def open(path: Path, now: float) -> SqliteStore:
    """The database at `path`, made if there is nothing. Raises StoreNewer, StoreBroken, StoreFull."""
    path = files.resolve(path)
    files.make_directory(path.parent)
    lock = Lock(path)
    try:
        if files.exists(path):
            files.make_private(path)
            schema = migrate.upgrade(path, now)
        else:
            schema = migrate.create(path, now)
        return SqliteStore(path, schema, lock)
    except BaseException:
        lock.release()
        raise


class SqliteStore:
    """`schema` says what opening did: created, upgraded, where the backup is."""

    def __init__(self, path: Path, schema: Schema, lock: Lock) -> None:
        self.path = path
        self.schema = schema
        self._lock = lock
        with explained(str(path)):
            self._inode = path.stat().st_ino
        self._connection = Connection(path, str(path))
        try:
            self._check_pages()
            self.check()
            self._last_ids: dict[Kind, int] = self._read_last_ids()
        except BaseException:
            self._connection.close()
            raise
        self.on_audit: Callable[[Audit], None] = lambda audit: None
        """Told of each row of the audit once it is on the disk."""
        # From here on peers may read the messages; they need not know our paths.
        self._connection.subject = "the database"

    def load(self) -> Saved:
        with self._connection.reading() as raw:
            return contents.read(raw)

    def new_id(self, kind: Kind) -> int:
        """An id never given out before. One whose commit failed may come again after a restart:
        nobody has heard of it."""
        self._last_ids[kind] += 1
        return self._last_ids[kind]

    def commit(self, steps: Sequence[Step]) -> int:
        with self._connection.writing() as raw:
            for step in steps:
                try:
                    _do(raw, step)
                except sqlite3.IntegrityError as error:
                    raise clash(step, error) from error
            generation = journal.append(raw, steps)
        for step in steps:
            if isinstance(step, Put):
                kind = KIND_OF[type(step.value)]
                self._last_ids[kind] = max(self._last_ids[kind], step.value.id)
            elif isinstance(step, Audit):
                self.on_audit(step)
        return generation

    def flush(self, reports: Mapping[int, Report]) -> None:
        rows = [(node_id, *REPORTS.to_row(report)) for node_id, report in reports.items()]
        with self._connection.writing(durable=False) as raw:
            raw.executemany(UPSERT_REPORT, rows)

    def since(self, generation: int) -> Sequence[Committed]:
        """Raises StoreBroken when batches after `generation` are no longer kept."""
        with self._connection.reading() as raw:
            return journal.since(raw, generation)

    def policy_versions(self, limit: int) -> list[PolicyEntry]:
        with self._connection.reading() as raw:
            return contents.policy_versions(raw, limit)

    def policy_version(self, version_id: int) -> PolicyVersion | None:
        with self._connection.reading() as raw:
            return contents.policy_version(raw, version_id)

    def newest_audit(self, count: int) -> list[Audit]:
        """The last `count` entries of the audit, newest first."""
        with self._connection.reading() as raw:
            return audit.newest(raw, count)

    def search_audit(self, wanted: audit.Search) -> list[audit.Entry]:
        """From any thread, over a connection of its own: a search that finds nothing in a million rows
        takes a third of a second."""
        address = f"{self.path.as_uri()}?mode=ro"
        with explained("the database"), closing(sqlite3.connect(address, uri=True)) as raw:
            return audit.search(raw, wanted)

    def trim_audit(self, before: float, now: float) -> int:
        """Remove some of the rows older than `before`; how many. Raises StoreFull, StoreBroken."""
        with self._connection.writing() as raw:
            return audit.trim(raw, before, now)

    def check(self) -> None:
        """Would a commit work now? Writes a byte to find out. Raises StoreFull, StoreBroken."""
        with self._connection.writing(durable=False) as raw:
            raw.execute(PROBE)
        self._check_place()

    def close(self) -> None:
        self._connection.close()
        self._lock.release()

    def _check_place(self) -> None:
        """On a file that was moved or removed SQLite writes on happily, to nowhere."""
        with explained(self._connection.subject):
            inode = self.path.stat().st_ino
        if inode != self._inode:
            raise StoreBroken("the database file was replaced while in use: restart the server")

    def _check_pages(self) -> None:
        with explained(self._connection.subject):
            verdict = page_fault(self._connection.raw, "quick_check")
        if verdict:
            raise StoreBroken(f"{self.path} is damaged ({verdict}): restore a backup")

    def _read_last_ids(self) -> dict[Kind, int]:
        with self._connection.reading() as raw:
            counters = dict(raw.execute("SELECT name, seq FROM sqlite_sequence"))
        return {kind: counters.get(shape.table, 0) for kind, shape in SHAPES.items()}


def _do(raw: sqlite3.Connection, step: Step) -> None:
    match step:
        case Put(value=value):
            kind = KIND_OF[type(value)]
            raw.execute(UPSERT[kind], SHAPES[kind].to_row(value))
        case Spend():
            _touch_one(raw, step, SPEND, (step.at, step.auth_key_id))
        case Delete():
            _touch_one(raw, step, DELETE[step.kind], (step.id,))
        case Audit():
            audit.append(raw, step)


def _touch_one(raw: sqlite3.Connection, step: Spend | Delete, sql: str, values: tuple[float, ...]) -> None:
    if raw.execute(sql, values).rowcount != 1:
        raise not_there(step)
