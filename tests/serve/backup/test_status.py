from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.config.upkeep import Backup, Offsite
from meshbox.serve.backup import status
from meshbox.serve.backup.status import Failure, Status, Success, Watch
from meshbox.store.gather import STATUS_NAME

HOUR = 3600.0


class Clock:
    now = 1_000_000.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(tmp_path: Path, clock: Clock) -> Watch:
    return Watch(tmp_path, lambda: Backup(max_age=50 * HOUR), lambda: clock.now, clock.now)


def test_a_failure_keeps_the_last_success_and_a_success_clears_it(tmp_path: Path) -> None:
    done = Success(5.0, "/backups/one", 10, 0.5)
    status.note_success(tmp_path, done)
    status.note_failure(tmp_path, Failure(6.0, "full"))
    assert status.read(tmp_path) == Status(done, Failure(6.0, "full"))
    status.note_success(tmp_path, done)
    status.note_offsite(tmp_path, Failure(7.0, "line down"))
    assert status.read(tmp_path) == Status(done, None, Failure(7.0, "line down"))
    assert (tmp_path / STATUS_NAME).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"success": 5, "failure": null, "offsite": null}'])
def test_an_unreadable_file_is_no_backup(tmp_path: Path, text: str) -> None:
    (tmp_path / STATUS_NAME).write_text(text)
    assert status.read(tmp_path) == Status()


def test_a_server_without_backups_has_time_to_get_one(watch: Watch, clock: Clock) -> None:
    assert watch.worry() == ""
    clock.now += 51 * HOUR
    assert "no backup was ever made" in watch.worry()


def test_age_failure_and_a_missing_copy_are_worries(watch: Watch, clock: Clock, tmp_path: Path) -> None:
    status.note_success(tmp_path, Success(clock.now, "/backups/one", 10, 0.5))
    clock.now += 50 * HOUR
    assert watch.worry() == ""
    clock.now += HOUR
    assert watch.worry() == "the last backup is 51 hours old: is its timer running?"
    status.note_failure(tmp_path, Failure(clock.now, "full"))
    assert watch.worry() == "the last backup failed: full"
    status.note_success(tmp_path, Success(clock.now, "/backups/two", 10, 0.5))
    status.note_offsite(tmp_path, Failure(clock.now, "line down"))
    assert watch.worry() == "the last backup was not copied elsewhere: line down"


def test_a_copy_that_nobody_makes_any_more_is_a_worry(tmp_path: Path, clock: Clock) -> None:
    settings = Backup(max_age=50 * HOUR, offsite=Offsite(repository="rest:https://nas.example.com/"))
    watch = Watch(tmp_path, lambda: settings, lambda: clock.now, clock.now)

    def work_for(hours: float) -> str:
        clock.now += hours * HOUR
        status.note_success(tmp_path, Success(clock.now, "/backups/one", 10, 0.5), keep_offsite=True)
        return watch.worry()

    assert work_for(50) == ""
    assert work_for(1) == "no backup was ever copied elsewhere: see meshbox backup copy"
    status.note_offsite(tmp_path, Failure(clock.now, "line down"))
    status.note_copied(tmp_path, clock.now)
    assert work_for(50) == ""
    assert work_for(1) == "the last copy elsewhere is 51 hours old: does meshbox-offsite.service run?"
    assert {s.name: s.value for s in watch.samples()}["meshbox_backup_last_copy_timestamp_seconds"] == round(
        clock.now - 51 * HOUR
    )


def test_a_status_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / STATUS_NAME).write_text('{"success": null, "failure": null, "offsite": null}')
    status.note_copied(tmp_path, 5.0)
    assert status.read(tmp_path) == Status(copied_at=5.0)


def test_without_a_limit_age_is_no_worry(tmp_path: Path, clock: Clock) -> None:
    watch = Watch(tmp_path, lambda: Backup(max_age=0.0), lambda: clock.now, clock.now)
    clock.now += 10_000 * HOUR
    assert watch.worry() == ""


def test_metrics_have_no_age_without_a_backup(watch: Watch, clock: Clock, tmp_path: Path) -> None:
    assert {sample.name for sample in watch.samples()} == {"meshbox_backup_failed"}
    status.note_success(tmp_path, Success(clock.now - 5, "/backups/one", 10, 0.5))
    values = {sample.name: sample.value for sample in watch.samples() if not sample.labels}
    assert values == {
        "meshbox_backup_age_seconds": 5,
        "meshbox_backup_bytes": 10,
        "meshbox_backup_last_success_timestamp_seconds": round(clock.now - 5),
        "meshbox_backup_seconds": 0.5,
    }
