"""What SQLite and the disk complain of, as sentences of ours.

`explained(subject)` wraps every touch of the database: nothing below it leaks a sqlite3 or OS
error. `subject` names the database in the sentence: its path while an operator starts the server,
just "the database" once peers may read the answer.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from meshbox.errors import StoreBroken, StoreError, StoreFull

PRIMARY_CODE = 0xFF
"""SQLite's extended result codes carry the primary one in their low byte."""

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_PERMISSION = (errno.EROFS, errno.EACCES, errno.EPERM)


@contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn sqlite3 and OS errors into StoreFull or StoreBroken. IntegrityError passes through:
    only who knows the step can say what clashed."""
    try:
        yield
    except sqlite3.IntegrityError:
        raise
    except sqlite3.Error as error:
        raise explain(error, subject) from error
    except OSError as error:
        raise explain_os(error, subject) from error


def explain(error: sqlite3.Error, subject: str) -> StoreError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name = getattr(error, "sqlite_errorname", str(error))
    match code & PRIMARY_CODE:
        case sqlite3.SQLITE_FULL:
            return StoreFull(f"no space left for {subject}: free some space on its disk and try again")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return StoreFull(
                f"{subject} cannot be written ({name}): check that its directory and files belong to "
                "the server's user and that the disk is not mounted read-only"
            )
        case sqlite3.SQLITE_IOERR:
            return StoreFull(
                f"the disk fails under {subject} ({name}): check free space and quota, "
                "then the kernel log for disk errors"
            )
        case sqlite3.SQLITE_CANTOPEN:
            return StoreFull(
                f"{subject} cannot be opened ({name}): check that its directory exists and is writable "
                "for the server's user"
            )
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return StoreBroken(
                f"{subject} is locked by another program: close any SQLite shell or copy job that uses it"
            )
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return StoreBroken(f"{subject} is damaged ({error}): stop the server and restore a backup")
    return StoreBroken(f"{subject} refused a statement ({error})")


def explain_os(error: OSError, subject: str) -> StoreError:
    text = error.strerror or str(error)
    if error.errno in NO_SPACE:
        return StoreFull(f"no space left for {subject}: free some space on its disk and try again")
    if error.errno in NO_PERMISSION:
        return StoreFull(
            f"{subject} cannot be written ({text}): check that its directory and files belong to "
            "the server's user and that the disk is not mounted read-only"
        )
    if error.errno == errno.EIO:
        return StoreFull(f"the disk fails under {subject} ({text}): check the kernel log for disk errors")
    return StoreBroken(f"{subject} cannot be used ({text})")
