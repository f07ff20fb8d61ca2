"""One backup: a snapshot of the database, every file beside it, checked, packed, sealed, read back, named.

It runs as a process of its own, beside the server or without it. An archive has its name only when all of
that went well, and only then older ones are thinned out.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from meshbox import __version__, log
from meshbox.config import Config
from meshbox.errors import BackupError, MeshboxError, NotFound, OffsiteError
from meshbox.serve.backup import status
from meshbox.serve.backup.offsite import Restic
from meshbox.serve.backup.shelf import name_of, prune
from meshbox.serve.backup.status import Failure, Success
from meshbox.store import archive, backup, files, gather
from meshbox.store.backup import Inspection
from meshbox.store.faults import explain_os
from meshbox.store.gather import Found
from meshbox.store.manifest import Manifest, Member, Role

STAGING = ".staging"


@dataclass(frozen=True, slots=True)
class Created:
    """`broken_audit_row` is where the database's audit was changed behind its back, if it was. `pruned` are
    archives that went; `offsite` says whether a copy went elsewhere."""

    path: Path
    size: int
    seconds: float
    manifest: Manifest
    sealed: bool
    broken_audit_row: int | None
    pruned: tuple[Path, ...] = ()
    offsite: bool = False


def create(config: Config, read: Sequence[Path], *, elsewhere: bool = True) -> Created:
    """`read` are the configuration's files. With `elsewhere`, and a repository configured, the archive is
    copied there too. Raises BackupError, OffsiteError (the archive is there then), NotFound, StoreError;
    whatever it was, the status file and the journal have it."""
    state_dir = config.state_dir
    try:
        with _os_errors(config.backup.directory):
            created = _create(config, read)
    except MeshboxError as error:
        log.emit("backup_failed", reason=str(error))
        with suppress(OSError, MeshboxError):
            status.note_failure(state_dir, Failure(time.time(), str(error)))
        raise
    success = Success(created.manifest.created_at, str(created.path), created.size, created.seconds)
    with _os_errors(state_dir):
        status.note_success(state_dir, success, keep_offsite=not elsewhere)
    log.emit("backup_created", path=created.path, bytes=created.size, seconds=round(created.seconds, 1))
    if not elsewhere or not config.backup.offsite.repository:
        return created
    try:
        copy(config, created.path)
    except OffsiteError as error:
        raise OffsiteError(f"{created.path} was made, but {error}") from None
    return replace(created, offsite=True)


def copy(config: Config, archive: Path) -> None:
    """Put an archive into the repository elsewhere. Raises OffsiteError; the status file and the journal have
    it too."""
    host = socket.gethostname()
    try:
        restic = Restic(config)
        restic.copy(archive, host)
        restic.thin(host)
    except OffsiteError as error:
        log.emit("backup_offsite_failed", path=archive, reason=str(error))
        with suppress(OSError, MeshboxError):
            status.note_offsite(config.state_dir, Failure(time.time(), str(error)))
        raise
    with _os_errors(config.state_dir):
        status.note_copied(config.state_dir, time.time())
    log.emit("backup_copied", path=archive, url=restic.repository)


def _create(config: Config, read: Sequence[Path]) -> Created:
    began, now = time.monotonic(), time.time()
    directory = config.backup.directory
    if not files.exists(config.database.sqlite.path):
        raise NotFound(
            f"there is no database at {config.database.sqlite.path}: the server has not run here yet"
        )
    files.make_directory(directory)
    with files.claimed(directory), _staging(directory) as staging:
        inspection = backup.save(config.database.sqlite.path, staging / "database.sqlite")
        found, left_out = gather.gather(config, read)
        described, sources = _described(config, read, staging, inspection, found)
        manifest = replace(described, created_at=now, left_out=tuple(left_out))
        path = directory / name_of(now, bool(config.backup.recipients))
        draft = files.start_draft(path)
        try:
            with draft.open("wb") as out:
                archive.write(out, manifest, sources, config.backup.recipients, os.urandom)
                archive.sync(out)
            _read_back(draft, bool(config.backup.recipients))
            files.publish(draft, path)
        except BaseException:
            files.discard(draft)
            raise
    pruned = tuple(prune(config))
    return Created(
        path,
        path.stat().st_size,
        time.monotonic() - began,
        manifest,
        bool(config.backup.recipients),
        inspection.broken_audit_row,
        pruned,
    )


def _described(
    config: Config, read: Sequence[Path], staging: Path, inspection: Inspection, found: list[Found]
) -> tuple[Manifest, list[Path]]:
    """The manifest, and where each member's content is. What is small is copied first: a file that changes
    while it is packed would make the whole archive worthless."""
    snapshot = staging / "database.sqlite"
    database = config.database.sqlite.path.absolute()
    members = [_member("database.sqlite", snapshot, database, "database")]
    sources = [snapshot]
    for number, one in enumerate(found):
        name = f"files/{number:04}-{one.path.name}"
        copy = staging / f"{number:04}"
        try:
            shutil.copyfile(one.path, copy)
        except OSError as error:
            raise BackupError(f"{one.path} cannot be read: {error.strerror}") from None
        members.append(_member(name, copy, one.path, one.role))
        sources.append(copy)
    manifest = Manifest(
        created_at=0.0,
        host=socket.gethostname(),
        version=__version__,
        config=", ".join(str(file.absolute()) for file in read),
        state_dir=str(config.state_dir.absolute()),
        schema=inspection.schema,
        generation=inspection.generation,
        users=inspection.users,
        nodes=inspection.nodes,
        members=tuple(members),
    )
    return manifest, sources


def _member(name: str, content: Path, path: Path, role: Role) -> Member:
    size, sha256 = archive.measure(content)
    kind = path.stat()
    return Member(
        name=name,
        path=str(path),
        role=role,
        size=size,
        sha256=sha256,
        mode=kind.st_mode & 0o777,
        owner=_user(kind.st_uid),
        group=_group(kind.st_gid),
    )


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def _read_back(path: Path, sealed: bool) -> None:
    """What was written, from the disk. Of a sealed archive only that it is whole: who makes backups cannot
    open them."""
    if sealed:
        if not archive.is_sound(path):
            raise BackupError(f"{path} does not read back as it was written: is the disk failing?")
        return
    with archive.contents(path, None) as (_, members):
        for _, content in members:
            while content.read(archive.PIECE):
                pass


@contextmanager
def _staging(directory: Path) -> Iterator[Path]:
    staging = directory / STAGING
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(0o700)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _os_errors(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain_os(error, str(directory)) from error
