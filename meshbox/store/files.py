"""The database as files: whose it is before SQLite touches it, and how a new one takes its place.

SQLite would open an empty file as an empty database and a foreign one as ours; both would log
every node out. So a file is looked at first, and a database appears under its name complete or
not at all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from meshbox.errors import StoreBroken
from meshbox.store.faults import explained

FILE_MODE = 0o600
DIRECTORY_MODE = 0o700

SQLITE_MAGIC = b"SQLite format 3\0"
HEADER_BYTES = 100
APPLICATION_ID = 0x6D657368
"""`mesh` in the header's application id (offset 68): the file is a meshbox database."""


def resolve(path: Path) -> Path:
    """The file itself behind links: it is what gets locked and replaced. Raises StoreBroken for a
    link to nothing, as a volume that is not mounted leaves it: a new database there would be lost."""
    with explained(str(path)):
        if path.is_symlink() and not path.exists():
            raise StoreBroken(f"{path} is a link to nothing: mount the disk it points to, or remove it")
        return path.resolve()


def exists(path: Path) -> bool:
    """Is there a meshbox database at `path`? False when there is nothing at all; raises
    StoreBroken or StoreFull for whatever else lies there. Changes nothing."""
    with explained(str(path)):
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            _refuse_lone_log(path)
            return False
        if not stat.S_ISREG(mode):
            what = "a directory" if stat.S_ISDIR(mode) else "not a regular file"
            raise StoreBroken(f"{path} is {what}: database.sqlite.path must name a file")
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    _check_header(path, header)
    return True


def _refuse_lone_log(path: Path) -> None:
    log = side_file(path, "-wal")
    if log.exists() and log.stat().st_size:
        raise StoreBroken(
            f"{path} is missing but its write-ahead log {log.name} is there: put the database back "
            "beside it, restore a backup, or move the log away to start an empty tailnet"
        )


def _check_header(path: Path, header: bytes) -> None:
    if not header:
        raise StoreBroken(
            f"{path} is an empty file, not a database: restore a backup, "
            "or remove it to start an empty tailnet"
        )
    if len(header) < HEADER_BYTES or not header.startswith(SQLITE_MAGIC):
        raise StoreBroken(f"{path} is not a database: restore a backup, or name another file")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreBroken(
            f"{path} is the database of another program: name another file in database.sqlite.path"
        )


def side_file(path: Path, suffix: str) -> Path:
    """SQLite's companion (`-wal`, `-shm`) of a database."""
    return path.with_name(path.name + suffix)


def make_directory(path: Path) -> None:
    """The directory of a database or of backups, private if it has to be made, with those above it."""
    with explained(str(path)):
        if path.is_dir():
            return
        if path.parent != path:
            make_directory(path.parent)
        path.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        give_to_directory_owner(path)


def make_private(path: Path) -> None:
    """Close a file that a careless copy left open to others."""
    with explained(str(path)):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(FILE_MODE)


@contextmanager
def claimed(directory: Path) -> Iterator[None]:
    """Nobody else writes drafts into this directory: two backups of one name at a time would
    publish each other's half. Raises StoreBroken when somebody does."""
    with explained(str(directory)):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise StoreBroken(f"another backup or restore into {directory} is running: wait for it") from None
    finally:
        os.close(descriptor)


def start_draft(path: Path) -> Path:
    """An empty private file beside `path` to build its new content in; remnants of an earlier
    attempt go."""
    draft = path.with_name(path.name + ".draft")
    with explained(str(draft)):
        discard(draft)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
        give_to_directory_owner(draft)
    return draft


def publish(draft: Path, path: Path) -> None:
    """Let a closed, complete database take its name, durably. Replaces what was there."""
    with explained(str(path)):
        if side_file(draft, "-wal").exists():
            raise OSError(errno.EIO, "its write-ahead log could not be folded into it")
        sync(draft)
        draft.replace(path)
        sync(path.parent)


def discard(path: Path) -> None:
    """Remove a database file with its companions, as far as they are there."""
    for file in (path, side_file(path, "-wal"), side_file(path, "-shm"), side_file(path, "-journal")):
        file.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def give_to_directory_owner(path: Path) -> None:
    """What root makes in the server's directory (a backup, a restore) must be the server's."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
