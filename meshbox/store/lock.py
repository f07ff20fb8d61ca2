"""One server to a database: a lock beside the file, held as long as the store is open.

It is an flock on `<database>.lock`: the kernel gives it up when the process ends, however it
ends, so a killed server never locks its successor out. The database file itself cannot carry it:
closing any other descriptor of that file would drop SQLite's own locks. The file is never
removed, or two servers could each hold a lock on a different one of the same name.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from meshbox.errors import StoreBroken
from meshbox.store import files
from meshbox.store.faults import explained

FILE_MODE = 0o600


class Lock:
    """Held from construction to `release`. Raises StoreBroken when another process holds it."""

    def __init__(self, database: Path) -> None:
        path = database.with_name(database.name + ".lock")
        with explained(str(path)):
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
            # After a restore by root the server's user must be able to open it.
            files.give_to_directory_owner(path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with explained(str(path)):
                os.ftruncate(self._file, 0)
                os.pwrite(self._file, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
            os.close(self._file)
            raise StoreBroken(
                f"{database} is in use by another meshbox (process {holder or 'unknown'}): "
                "stop that one first, or give this one its own database.sqlite.path"
            ) from None
        except BaseException:
            os.close(self._file)
            raise

    def release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
