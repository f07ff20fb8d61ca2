"""A copy of a database at one moment, while a server goes on writing to it.

`VACUUM INTO` reads one snapshot through the write-ahead log and holds a writer up for no more than its
usual 5 ms. (The online backup API, a few pages at a time, starts again at each write of another process:
beside a busy server it never ends.) The copy is a single file without companions, private, and gets its
name only when it is complete and was looked through.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from meshbox.errors import StoreBroken
from meshbox.store import files
from meshbox.store.connection import BUSY_SECONDS
from meshbox.store.faults import explained

T = TypeVar("T")


def copy(source: Path, target: Path, inspect: Callable[[sqlite3.Connection], T]) -> T:
    """Copy the database at `source` to `target`, replacing what is there, and return what
    `inspect` found in the copy. Raises StoreBroken, StoreFull; then `target` is what it was."""
    with files.claimed(target.parent):
        draft = files.start_draft(target)
        try:
            with explained(str(target)):
                _copy_pages(source, draft)
                with closing(sqlite3.connect(draft, isolation_level=None)) as raw:
                    found = inspect(raw)
            files.publish(draft, target)
            return found
        except BaseException:
            files.discard(draft)
            raise


def check_pages(raw: sqlite3.Connection) -> None:
    """Every page, index and reference of a database. Raises StoreBroken."""
    verdict = page_fault(raw, "integrity_check")
    if verdict:
        raise StoreBroken(f"the database is damaged ({verdict})")
    dangling = raw.execute("PRAGMA foreign_key_check").fetchone()
    if dangling is not None:
        raise StoreBroken(
            f"the database is damaged (a row in {dangling[0]} refers to nothing in {dangling[2]})"
        )


def page_fault(raw: sqlite3.Connection, check: str) -> str:
    """The first fault that `quick_check` or the slower `integrity_check` finds; "" if none."""
    (verdict,) = raw.execute(f"PRAGMA {check}(1)").fetchone()
    return "" if verdict == "ok" else " ".join(verdict.split())


def _copy_pages(source: Path, draft: Path) -> None:
    with closing(sqlite3.connect(source, timeout=BUSY_SECONDS, isolation_level=None)) as read:
        read.execute("VACUUM INTO ?", (str(draft),))
