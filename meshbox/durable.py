"""Files that are replaced whole, and whether there is one.

The old content stays until all of the new one is on the disk.
"""

from __future__ import annotations

import os
from pathlib import Path

OURS_ALONE = 0o600


def is_there(path: Path) -> bool:
    """Raises PermissionError where nobody lets us look. `Path.exists` of Python 3.14 says no there: a backup
    would then leave a key out, and a server start without its configuration."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def write_whole(path: Path, content: bytes) -> None:
    """Replace the file, readable for us alone. Raises OSError; then what was there is still there."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, OURS_ALONE)
    with os.fdopen(descriptor, "wb") as file:
        # A draft that a crash left behind keeps the mode it had.
        os.fchmod(descriptor, OURS_ALONE)
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
