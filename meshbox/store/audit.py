"""The audit: who did what, append-only, each row sealed with the hash of all before it.

The database refuses UPDATE and DELETE. Who goes around that with the file in hand breaks the
chain, which `broken_row` finds: a row's hash is SHA-256 over the hash of the row before it (32
zero bytes for the first) and the compact JSON list of its id and fields.

`trim` takes away the oldest rows and says so in a row of its own, which carries the hash of the last
one that went: there the chain goes on.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from dataclasses import dataclass

from meshbox.tailnet.model import Audit

FIRST_HASH = bytes(32)
COLUMNS = "id, at, actor, action, object, detail"
TRIM = "audit.trim"
KEEPS_ROWS = "audit_keeps_rows"
"""The trigger that refuses DELETE. It is away for the moment of a trim, inside its transaction."""

TRIM_SLICE = 5_000
"""Rows that go at a time: about 20 ms."""

SEARCH_LIMIT = 1_000
"""Rows of one answer; `before` asks for those before them."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is wanted of the audit; None is anything. Times are unix seconds; `before` is an id."""

    actor: str | None = None
    object: str | None = None
    action: str | None = None
    since: float | None = None
    until: float | None = None
    before: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class Entry:
    """A row with its number."""

    id: int
    audit: Audit


def append(connection: sqlite3.Connection, audit: Audit) -> None:
    """Inside the transaction of the change it describes."""
    newest = connection.execute("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1").fetchone()
    last_id, last_hash = newest or (0, FIRST_HASH)
    row = (last_id + 1, float(audit.at), audit.actor, audit.action, audit.object, audit.detail)
    connection.execute(
        f"INSERT INTO audit ({COLUMNS}, hash) VALUES (?, ?, ?, ?, ?, ?, ?)", (*row, _seal(last_hash, row))
    )


def broken_row(connection: sqlite3.Connection) -> int | None:
    """The id of the first row that is missing or not what was written; None when all are.

    Rows cut off at the end leave no trace in the chain; the id counter beside it still tells.
    """
    expected_id, last_hash = _beginning(connection)
    for *row, row_hash in connection.execute(f"SELECT {COLUMNS}, hash FROM audit ORDER BY id"):
        if row[0] != expected_id or row_hash != _seal(last_hash, tuple(row)):
            return expected_id
        expected_id, last_hash = expected_id + 1, row_hash
    count = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    return expected_id if count and count[0] >= expected_id else None


def _beginning(connection: sqlite3.Connection) -> tuple[int, bytes]:
    """The id the first row must have, and the hash before it."""
    (first,) = connection.execute("SELECT min(id) FROM audit").fetchone()
    trims = connection.execute("SELECT detail FROM audit WHERE action = ? ORDER BY id DESC", (TRIM,))
    for (detail,) in trims if first not in (None, 1) else ():
        try:
            said = json.loads(detail)
            if said["to"] == first - 1:
                return first, bytes.fromhex(said["hash"])
        except (ValueError, TypeError, KeyError):
            continue
    return 1, FIRST_HASH


def trim(connection: sqlite3.Connection, before: float, now: float) -> int:
    """Inside a transaction: remove up to TRIM_SLICE of the oldest rows, all older than `before`. How many
    went. A row is only as old as the newest up to it: a clock that once ran ahead must not tear a hole."""
    young = connection.execute("SELECT id FROM audit WHERE at >= ? ORDER BY id LIMIT 1", (before,)).fetchone()
    first, last = connection.execute("SELECT min(id), max(id) FROM audit").fetchone()
    if first is None:
        return 0
    to = min((young[0] if young else last + 1) - 1, first + TRIM_SLICE - 1)
    if to < first:
        return 0
    (last_hash,) = connection.execute("SELECT hash FROM audit WHERE id = ?", (to,)).fetchone()
    append(
        connection,
        Audit(now, "meshbox", TRIM, f"rows {first} to {to}", json.dumps({"to": to, "hash": last_hash.hex()})),
    )
    (text,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (KEEPS_ROWS,)).fetchone()
    connection.execute(f"DROP TRIGGER {KEEPS_ROWS}")
    connection.execute("DELETE FROM audit WHERE id <= ?", (to,))
    connection.execute(text)
    return int(to - first + 1)


def search(connection: sqlite3.Connection, wanted: Search) -> list[Entry]:
    """The newest first."""
    conditions = {
        "actor = ?": wanted.actor,
        "object = ?": wanted.object,
        "action = ?": wanted.action,
        "at >= ?": wanted.since,
        "at < ?": wanted.until,
        "id < ?": wanted.before,
    }
    given = {text: value for text, value in conditions.items() if value is not None}
    where = f"WHERE {' AND '.join(given)}" if given else ""
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM audit {where} ORDER BY id DESC LIMIT ?",
        (*given.values(), min(wanted.limit, SEARCH_LIMIT)),
    )
    return [Entry(number, Audit(*rest)) for number, *rest in rows]


def newest(connection: sqlite3.Connection, count: int) -> list[Audit]:
    """The last `count` entries, newest first."""
    rows = connection.execute(
        "SELECT at, actor, action, object, detail FROM audit ORDER BY id DESC LIMIT ?", (count,)
    )
    return [Audit(*row) for row in rows]


def _seal(last_hash: bytes, row: tuple[object, ...]) -> bytes:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(last_hash + text.encode()).digest()
