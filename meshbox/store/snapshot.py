"""A copy of a database at one moment, while a server goes on writing to it.

SQLite's online backup reads one snapshot through the write-ahead log. The copy is a single file
without companions, private, complete under its name or not there at all.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from meshbox.store import files
from meshbox.store.connection import BUSY_SECONDS
from meshbox.store.faults import explained


def copy(source: Path, target: Path) -> None:
    """Raises StoreBroken, StoreFull; then `target` is what it was."""
    draft = files.start_draft(target)
    try:
        with explained(str(target)):
            _copy_pages(source, draft)
        files.publish(draft, target)
    except BaseException:
        files.discard(draft)
        raise


def _copy_pages(source: Path, draft: Path) -> None:
    with (
        closing(sqlite3.connect(source, timeout=BUSY_SECONDS, isolation_level=None)) as read,
        closing(sqlite3.connect(draft, isolation_level=None)) as write,
    ):
        read.backup(write)
        # The copy says of itself that it has a write-ahead log, like its source; make it one file.
        write.execute("PRAGMA journal_mode = DELETE")
