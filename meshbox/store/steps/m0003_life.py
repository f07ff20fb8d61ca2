"""Devices that wait for approval, attributes of devices, and notices to clients."""

from __future__ import annotations

import sqlite3

STATEMENTS = (
    # Whoever is in when the waiting room is opened stays in.
    "ALTER TABLE nodes ADD COLUMN is_approved INTEGER NOT NULL DEFAULT 1 CHECK (is_approved IN (0, 1))",
    "ALTER TABLE nodes ADD COLUMN attributes TEXT NOT NULL DEFAULT '[]'",
    "ALTER TABLE auth_keys ADD COLUMN preapproved INTEGER NOT NULL DEFAULT 0 CHECK (preapproved IN (0, 1))",
    """CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    title TEXT NOT NULL,
    text TEXT NOT NULL,
    severity TEXT NOT NULL CHECK (severity IN ('low', 'medium', 'high')),
    link TEXT NOT NULL,
    label TEXT NOT NULL,
    targets TEXT NOT NULL
) STRICT""",
)


def apply(connection: sqlite3.Connection) -> None:
    for statement in STATEMENTS:
        connection.execute(statement)
