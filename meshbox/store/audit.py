"""The audit: who did what, append-only, each row sealed with the hash of all before it.

The database refuses UPDATE and DELETE. Who goes around that with the file in hand breaks the
chain, which `broken_row` finds: a row's hash is SHA-256 over the hash of the row before it (32
zero bytes for the first) and the compact JSON list of its id and fields.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3

from meshbox.tailnet.model import Audit

FIRST_HASH = bytes(32)
COLUMNS = "id, at, actor, action, object, detail"


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
    expected_id, last_hash = 1, FIRST_HASH
    for *row, row_hash in connection.execute(f"SELECT {COLUMNS}, hash FROM audit ORDER BY id"):
        if row[0] != expected_id or row_hash != _seal(last_hash, tuple(row)):
            return expected_id
        expected_id, last_hash = expected_id + 1, row_hash
    count = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").fetchone()
    return expected_id if count and count[0] >= expected_id else None


def newest(connection: sqlite3.Connection, count: int) -> list[Audit]:
    """The last `count` entries, newest first."""
    rows = connection.execute(
        "SELECT at, actor, action, object, detail FROM audit ORDER BY id DESC LIMIT ?", (count,)
    )
    return [Audit(*row) for row in rows]


def _seal(last_hash: bytes, row: tuple[object, ...]) -> bytes:
    text = json.dumps(row, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(last_hash + text.encode()).digest()
