"""Everything a database holds, as values: what a server starts from and a backup is judged by."""

from __future__ import annotations

import sqlite3

from meshbox.errors import Malformed, StoreBroken
from meshbox.store import journal
from meshbox.store.rows import API_KEYS, AUTH_KEYS, NODES, NOTICES, POLICIES, REPORTS, USERS
from meshbox.tailnet.model import PolicyEntry, PolicyVersion, Report
from meshbox.tailnet.ports import Saved


def read(raw: sqlite3.Connection) -> Saved:
    """Everything, as values. Raises StoreBroken for a row no meshbox wrote."""
    try:
        return Saved(
            journal.generation(raw),
            [USERS.from_row(row) for row in raw.execute(f"{USERS.select} ORDER BY id")],
            [NODES.from_row(row) for row in raw.execute(f"{NODES.select} ORDER BY id")],
            _reports(raw),
            [AUTH_KEYS.from_row(row) for row in raw.execute(f"{AUTH_KEYS.select} ORDER BY id")],
            [API_KEYS.from_row(row) for row in raw.execute(f"{API_KEYS.select} ORDER BY id")],
            _newest_policy(raw),
            tuple(NOTICES.from_row(row) for row in raw.execute(f"{NOTICES.select} ORDER BY id")),
        )
    except (ValueError, TypeError, Malformed) as error:
        raise StoreBroken(f"the database holds a value that cannot be read ({error})") from error


def policy_version(raw: sqlite3.Connection, version_id: int) -> PolicyVersion | None:
    row = raw.execute(f"{POLICIES.select} WHERE id = ?", (version_id,)).fetchone()
    return None if row is None else POLICIES.from_row(row)


def policy_versions(raw: sqlite3.Connection, limit: int) -> list[PolicyEntry]:
    """Newest first."""
    rows = raw.execute(
        "SELECT id, actor, created_at, note, length(text) FROM policies ORDER BY id DESC LIMIT ?", (limit,)
    )
    return [PolicyEntry(*row) for row in rows]


def _newest_policy(raw: sqlite3.Connection) -> PolicyVersion | None:
    row = raw.execute(f"{POLICIES.select} ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else POLICIES.from_row(row)


def _reports(raw: sqlite3.Connection) -> dict[int, Report]:
    columns = ", ".join(REPORTS.columns)
    rows = raw.execute(f"SELECT node_id, {columns} FROM {REPORTS.table} ORDER BY node_id")
    return {node_id: REPORTS.from_row(row) for node_id, *row in rows}
