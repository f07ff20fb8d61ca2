"""How the last backup went: written by whoever makes one, read by the server for health and metrics.

A small JSON file in the state directory, `backup-status.json`. The two are different processes, perhaps of
different users; the file is all they share.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from meshbox.config.upkeep import Backup
from meshbox.serve.api.moments import write_moment
from meshbox.serve.metrics import Sample
from meshbox.store import files
from meshbox.store.gather import STATUS_NAME

STATUS_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Success:
    """`at` is unix seconds, `seconds` how long it took."""

    at: float
    archive: str
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Failure:
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Status:
    """`failure` is that of the last run, None when it went well; `offsite` likewise for the copy elsewhere,
    None when it went well or there is none. `copied_at` is unix seconds of the last copy that went well."""

    success: Success | None = None
    failure: Failure | None = None
    offsite: Failure | None = None
    copied_at: float | None = None


def read(state_dir: Path) -> Status:
    """An unreadable file is no status: then no backup counts."""
    try:
        with (state_dir / STATUS_NAME).open("rb") as file:
            value = json.loads(file.read(STATUS_LIMIT))
        return Status(
            Success(**value["success"]) if value["success"] else None,
            Failure(**value["failure"]) if value["failure"] else None,
            Failure(**value["offsite"]) if value["offsite"] else None,
            value.get("copied_at"),
        )
    except (OSError, ValueError, TypeError, KeyError):
        return Status()


def note_success(state_dir: Path, success: Success, *, keep_offsite: bool = False) -> None:
    """`keep_offsite` when somebody else sees to the copy elsewhere, who will say how it went."""
    before = read(state_dir)
    _write(
        state_dir,
        replace(before, success=success, failure=None, offsite=before.offsite if keep_offsite else None),
    )


def note_failure(state_dir: Path, failure: Failure) -> None:
    _write(state_dir, replace(read(state_dir), failure=failure))


def note_offsite(state_dir: Path, failure: Failure) -> None:
    _write(state_dir, replace(read(state_dir), offsite=failure))


def note_copied(state_dir: Path, at: float) -> None:
    _write(state_dir, replace(read(state_dir), offsite=None, copied_at=at))


def _write(state_dir: Path, status: Status) -> None:
    path = state_dir / STATUS_NAME
    draft = files.start_draft(path)
    with draft.open("wb") as file:
        file.write(json.dumps(asdict(status)).encode())
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


class Watch:
    """The server's view. `settings` are those in force; `started_at` is when the server started."""

    def __init__(
        self, state_dir: Path, settings: Callable[[], Backup], clock: Callable[[], float], started_at: float
    ) -> None:
        self._state_dir = state_dir
        self._settings = settings
        self._clock = clock
        self._started_at = started_at

    def worry(self) -> str:
        status, now = read(self._state_dir), self._clock()
        if status.failure is not None:
            return f"the last backup failed: {status.failure.reason}"
        if status.offsite is not None:
            return f"the last backup was not copied elsewhere: {status.offsite.reason}"
        limit = self._settings().max_age
        if not limit:
            return ""
        if status.success is None:
            is_late = now - self._started_at > limit
            return "no backup was ever made: see meshbox backup create" if is_late else ""
        age = now - status.success.at
        if age > limit:
            return f"the last backup is {age / 3600:.0f} hours old: is its timer running?"
        return self._worry_about_copies(status.copied_at, now, limit)

    def _worry_about_copies(self, copied_at: float | None, now: float, limit: float) -> str:
        """A copy that fails says so itself; one that is never tried can only be missed."""
        if not self._settings().offsite.repository or now - (copied_at or self._started_at) <= limit:
            return ""
        if copied_at is None:
            return "no backup was ever copied elsewhere: see meshbox backup copy"
        age = (now - copied_at) / 3600
        return f"the last copy elsewhere is {age:.0f} hours old: does meshbox-offsite.service run?"

    def facts(self) -> dict[str, Any]:
        """For /status."""
        success = read(self._state_dir).success
        found = {"at": None, "archive": "", "bytes": 0}
        if success is not None:
            found = {"at": write_moment(success.at), "archive": success.archive, "bytes": success.size}
        return {**found, "trouble": self.worry()}

    def samples(self) -> Iterator[Sample]:
        status = read(self._state_dir)
        yield Sample("meshbox_backup_failed", status.failure is not None, ("local",))
        yield Sample("meshbox_backup_failed", status.offsite is not None, ("offsite",))
        if status.copied_at is not None:
            yield Sample("meshbox_backup_last_copy_timestamp_seconds", round(status.copied_at))
        if status.success is not None:
            yield Sample("meshbox_backup_last_success_timestamp_seconds", round(status.success.at))
            yield Sample("meshbox_backup_age_seconds", round(self._clock() - status.success.at))
            yield Sample("meshbox_backup_bytes", status.success.size)
            yield Sample("meshbox_backup_seconds", round(status.success.seconds, 3))
