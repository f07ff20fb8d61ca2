"""The archives in backup.directory: their names, what they are, which go."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from meshbox.config import Config
from meshbox.errors import BackupError, NotFound
from meshbox.secrets import backup_key_text
from meshbox.serve.api.moments import write_moment
from meshbox.store import archive, retention
from meshbox.store.manifest import Manifest
from meshbox.wire.sealed import public_key_of

PREFIX, SUFFIX, SEALED = "meshbox-", ".tar.zst", ".sealed"
_NAME = re.compile(r"meshbox-(\d{8}T\d{6})Z\.tar\.zst(\.sealed)?")


@dataclass(frozen=True, slots=True)
class Entry:
    """`label` is what the archive says of itself, empty when it cannot be read; then `fault` says why."""

    path: Path
    created_at: float
    size: int
    label: dict[str, Any]
    fault: str = ""


def name_of(at: float, sealed: bool) -> str:
    return f"{PREFIX}{datetime.fromtimestamp(at, UTC):%Y%m%dT%H%M%S}Z{SUFFIX}{SEALED if sealed else ''}"


def dated(directory: Path) -> Iterator[tuple[float, Path]]:
    """Archives of ours by the date in their name; other files are nobody's business."""
    if not directory.is_dir():
        return
    for path in sorted(directory.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is not None and path.is_file():
            yield datetime.strptime(match[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp(), path


def inventory(directory: Path) -> list[Entry]:
    """Newest first. Raises BackupError when the directory cannot be read."""
    found = []
    try:
        for at, path in dated(directory):
            try:
                found.append(Entry(path, at, path.stat().st_size, archive.label(path)))
            except BackupError as error:
                found.append(Entry(path, at, path.stat().st_size, {}, str(error)))
    except OSError as error:
        raise BackupError(f"backup.directory {directory} cannot be read: {error.strerror}") from None
    return found[::-1]


def newest(config: Config) -> Path:
    """Raises NotFound."""
    found = list(dated(config.backup.directory))
    if not found:
        raise NotFound(f"there is no archive in {config.backup.directory}: meshbox backup create makes one")
    return max(found)[1]


def described(manifest: Manifest) -> dict[str, Any]:
    """What is in an archive, for who can open it."""
    label = manifest.label()
    return {
        "createdAt": write_moment(manifest.created_at),
        **{name: label[name] for name in ("host", "version", "schema", "users", "nodes")},
        "files": [member.path for member in manifest.members],
    }


def new_key_pair() -> tuple[str, str]:
    """The public key for backup.recipients, and the private one."""
    private = os.urandom(32)
    return backup_key_text(public_key_of(private), "pub"), backup_key_text(private, "key")


def prune(config: Config, dry_run: bool = False) -> list[Path]:
    """Remove what the rule does not keep; what was (or would be) removed. Raises BackupError."""
    wish = config.backup
    rule = retention.Rule(wish.keep_last, wish.keep_daily, wish.keep_weekly, wish.keep_monthly)
    there = list(dated(wish.directory))
    keep = retention.kept((at for at, _ in there), rule)
    going = [path for at, path in there if at not in keep]
    for path in [] if dry_run else going:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise BackupError(f"{path} cannot be removed: {error.strerror}") from None
    return going
