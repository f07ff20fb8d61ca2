"""What survives: the database, its schema and its backups."""

from meshbox.store.store import SqliteStore, open

__all__ = ["SqliteStore", "open"]
