"""From an archive back to a server: everything is unpacked and checked beside, and only then put in place.

The database comes last: a crash half-way leaves files that a second try finds in place, and no server that
starts with half of it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from meshbox import log
from meshbox.errors import BackupError, Refused
from meshbox.store import archive, backup, files, placing
from meshbox.store.backup import Inspection
from meshbox.store.faults import explain_os
from meshbox.store.lock import Lock
from meshbox.store.manifest import Manifest
from meshbox.store.placing import Place

SHOWN = 5
"""Files in the way that are named; the others are counted."""


@dataclass(frozen=True, slots=True)
class Checked:
    """`inspection` is None for a sealed archive without its key: only its outside was checked."""

    label: dict[str, object]
    manifest: Manifest | None
    inspection: Inspection | None


@dataclass(frozen=True, slots=True)
class Restored:
    """`replaced` is where what was there before has gone."""

    manifest: Manifest
    inspection: Inspection
    replaced: tuple[Path, ...]


def verify(path: Path, private_key: bytes | None) -> Checked:
    """Read all of an archive. Raises BackupError, StoreError: it is no good."""
    label = archive.label(path)
    if label["sealed"] and not archive.is_sound(path):
        raise BackupError(f"{path} is damaged: it is not the file that was written")
    if label["sealed"] and private_key is None:
        return Checked(label, None, None)
    with _unpacked(path, private_key, Path(tempfile.gettempdir())) as (manifest, places):
        return Checked(label, manifest, backup.inspect(places[0].source))


def restore(
    path: Path, private_key: bytes | None, root: Path = Path("/"), *, force: bool = False
) -> Restored:
    """Put everything back, below `root`. Raises BackupError, Refused (something is there and differs, and no
    `force`), StoreBroken (a server is running), StoreNewer; then nothing has changed."""
    manifest = manifest_of(path, private_key)
    state_dir = below(root, manifest.state_dir)
    try:
        with _unpacked(path, private_key, _nearest(state_dir), root) as (manifest, places):
            backup.inspect(places[0].source)
            if not force:
                _refuse_occupied(places)
            target = files.resolve(places[0].target)
            placing.make_parents(places[0], state_dir)
            # Held to the end: a server that a socket unit starts meanwhile finds nothing half done.
            lock = Lock(target)
            try:
                aside = placing.put(places[1:], state_dir)
                done = backup.put_in_place(places[0].source, target, force=force)
                placing.give(target, places[0].member)
            finally:
                lock.release()
    except OSError as error:
        raise explain_os(error, str(root)) from error
    replaced = (*aside, *([done.replaced] if done.replaced is not None else []))
    log.emit("backup_restored", path=path)
    return Restored(manifest, done.inspection, replaced)


def manifest_of(path: Path, private_key: bytes | None) -> Manifest:
    """Raises BackupError."""
    with archive.contents(path, private_key) as (manifest, _):
        return manifest


def below(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def _refuse_occupied(places: list[Place]) -> None:
    database = places[0].target
    taken = [database] if database.exists() or files.side_file(database, "-wal").exists() else []
    taken += placing.in_the_way(places[1:])
    if taken:
        names = ", ".join(map(str, taken[:SHOWN])) + (
            f" and {len(taken) - SHOWN} more" if taken[SHOWN:] else ""
        )
        raise Refused(f"this would replace {names}: with --force they are kept beside, as NAME.replaced-1")


def _nearest(directory: Path) -> Path:
    """The directory itself or what is there of the way to it: on its disk, and never in a public one."""
    while not directory.is_dir():
        directory = directory.parent
    return directory


@contextmanager
def _unpacked(
    path: Path, private_key: bytes | None, beside: Path, root: Path = Path("/")
) -> Iterator[tuple[Manifest, list[Place]]]:
    """Every member in a private directory, checked; the database is the first."""
    staging = Path(tempfile.mkdtemp(prefix=".meshbox-restore-", dir=beside))
    try:
        places = []
        with archive.contents(path, private_key) as (manifest, members):
            for number, (member, content) in enumerate(members):
                source = staging / str(number)
                with source.open("wb") as file:
                    shutil.copyfileobj(content, file, archive.PIECE)
                source.chmod(files.FILE_MODE)
                places.append(Place(member, source, below(root, member.path)))
        places.sort(key=lambda place: place.member.role != "database")
        yield manifest, places
    finally:
        shutil.rmtree(staging, ignore_errors=True)
