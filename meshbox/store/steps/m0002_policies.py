"""Every version of the policy, and what policies ask about people: their role and the groups that an identity
provider put them in."""

from __future__ import annotations

import sqlite3

STATEMENTS = (
    """CREATE TABLE policies (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    text TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_at REAL NOT NULL,
    note TEXT NOT NULL
) STRICT""",
    """CREATE TRIGGER policies_keep_rows BEFORE DELETE ON policies
BEGIN SELECT RAISE(ABORT, 'every version of the policy is kept'); END""",
    """CREATE TRIGGER policies_keep_words BEFORE UPDATE ON policies
BEGIN SELECT RAISE(ABORT, 'a version of the policy is never rewritten'); END""",
    "ALTER TABLE users ADD COLUMN role TEXT NOT NULL DEFAULT 'member'",
    "ALTER TABLE users ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'",
)


def apply(connection: sqlite3.Connection) -> None:
    for statement in STATEMENTS:
        connection.execute(statement)
