"""Backups: taken while the server writes, judged before they count, restored without loss."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from meshbox import store
from meshbox.errors import NotFound, Refused, StoreBroken, StoreNewer
from meshbox.store import backup, files, migrate
from meshbox.store.backup import Inspection
from meshbox.store.steps import MIGRATIONS, Migration
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import Audit
from meshbox.tailnet.ports import Put
from tests.store.samples import START, node, report, user


@pytest.fixture
def kept(kept: SqliteStore) -> SqliteStore:
    kept.commit([Put(user(1)), Put(node(1)), Audit(START, "cli", "user.create", "user1")])
    kept.flush({1: report(1)})
    return kept


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def node_names(path: Path) -> list[str]:
    opened = store.open(path, START)
    found = [node.name for node in opened.load().nodes]
    opened.close()
    return found


def test_backup_of_a_running_server_holds_everything_in_one_private_file(
    kept: SqliteStore, tmp_path: Path
) -> None:
    target = tmp_path / "backups" / "one.sqlite"
    assert backup.save(kept.path, target) == Inspection(
        MIGRATIONS[-1].version, generation=1, users=1, nodes=1
    )
    assert names(target.parent) == {"one.sqlite"}
    assert target.stat().st_mode & 0o777 == 0o600
    expected = kept.load()
    kept.commit([Put(user(2))])
    backup.restore(target, tmp_path / "other" / "mesh.sqlite")
    other = store.open(tmp_path / "other" / "mesh.sqlite", START)
    assert other.load() == expected
    other.close()
    kept.close()


def test_backup_amid_writes_is_one_moment(kept: SqliteStore, tmp_path: Path) -> None:
    """Users and nodes come in pairs; a backup with one half of a pair would not be one snapshot."""
    found: list[Inspection] = []

    def save() -> None:
        found.extend(backup.save(kept.path, tmp_path / "b.sqlite") for _ in range(5))

    thread = threading.Thread(target=save)
    thread.start()
    number = 1
    while thread.is_alive():
        number += 1
        kept.commit([Put(user(number)), Put(node(number, user_id=number))])
    thread.join()
    assert len(found) == 5
    assert all(one.users == one.nodes == one.generation for one in found)
    assert len(kept.load().nodes) == number
    kept.close()


def test_failed_backup_keeps_the_earlier_one(kept: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    backup.save(kept.path, target)
    earlier = target.read_bytes()
    kept.close()
    damage(kept.path)
    with pytest.raises(StoreBroken):
        backup.save(kept.path, target)
    assert target.read_bytes() == earlier
    assert names(tmp_path) == {"state", "b.sqlite"}


def damage(path: Path) -> None:
    """Overwrite a page in the middle, as a dying SD card does."""
    with path.open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xa5" * 4096)


def test_backup_never_replaces_the_database_itself(kept: SqliteStore) -> None:
    with pytest.raises(Refused, match="the database itself"):
        backup.save(kept.path, kept.path)
    kept.close()


def test_only_one_backup_at_a_time_writes_into_a_directory(kept: SqliteStore, tmp_path: Path) -> None:
    with files.claimed(tmp_path), pytest.raises(StoreBroken, match="is running: wait for it"):
        backup.save(kept.path, tmp_path / "b.sqlite")
    backup.save(kept.path, tmp_path / "b.sqlite")
    kept.close()


def test_backup_tells_where_the_audit_was_touched(kept: SqliteStore, tmp_path: Path) -> None:
    for number in range(4):
        kept.commit([Audit(START, "cli", "node.rename", f"box-{number}")])
    kept.close()
    with closing(sqlite3.connect(kept.path)) as raw:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute("UPDATE audit SET actor = 'nobody' WHERE id = 3")
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            raw.execute("DELETE FROM audit WHERE id = 3")
        raw.execute("DROP TRIGGER audit_keeps_words")
        raw.execute("UPDATE audit SET actor = 'nobody' WHERE id = 3")
        raw.commit()
    assert backup.save(kept.path, tmp_path / "b.sqlite").broken_audit_row == 3


def test_backup_tells_of_an_audit_cut_short(kept: SqliteStore, tmp_path: Path) -> None:
    kept.commit([Audit(START, "cli", "node.rename", "box")])
    kept.close()
    with closing(sqlite3.connect(kept.path)) as raw:
        raw.execute("DROP TRIGGER audit_keeps_rows")
        raw.execute("DELETE FROM audit WHERE id = 2")
        raw.commit()
    assert backup.save(kept.path, tmp_path / "b.sqlite").broken_audit_row == 2


def test_restore_asks_before_it_replaces_and_keeps_what_was_there(kept: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    backup.save(kept.path, target)
    kept.commit([Put(node(2))])
    kept.close()
    with pytest.raises(Refused, match="force the restore"):
        backup.restore(target, kept.path)
    assert node_names(kept.path) == ["box-1", "box-2"]
    first = backup.restore(target, kept.path, force=True)
    assert first.replaced == kept.path.with_name("mesh.sqlite.replaced-1")
    assert first.inspection == Inspection(MIGRATIONS[-1].version, generation=1, users=1, nodes=1)
    assert node_names(kept.path) == ["box-1"]
    assert node_names(first.replaced) == ["box-1", "box-2"]
    assert backup.restore(target, kept.path, force=True).replaced == kept.path.with_name(
        "mesh.sqlite.replaced-2"
    )


def test_restore_keeps_the_log_of_a_server_that_was_killed(kept: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    backup.save(kept.path, target)
    kept.commit([Put(node(2))])
    crashed = tmp_path / "crashed" / "mesh.sqlite"
    crashed.parent.mkdir()
    for suffix in ("", "-wal"):
        files.side_file(crashed, suffix).write_bytes(files.side_file(kept.path, suffix).read_bytes())
    kept.close()
    replaced = backup.restore(target, crashed, force=True).replaced
    assert replaced is not None
    assert node_names(crashed) == ["box-1"]
    assert node_names(replaced) == ["box-1", "box-2"]


def test_restore_over_a_damaged_database_keeps_it_as_it_is(kept: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    backup.save(kept.path, target)
    kept.close()
    kept.path.write_bytes(b"garbage")
    replaced = backup.restore(target, kept.path, force=True).replaced
    assert replaced is not None
    assert replaced.read_bytes() == b"garbage"
    assert node_names(kept.path) == ["box-1"]


def test_restore_under_a_running_server_is_refused(kept: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    backup.save(kept.path, target)
    with pytest.raises(StoreBroken, match="in use by another meshbox"):
        backup.restore(target, kept.path, force=True)
    kept.close()


def test_bad_backups_are_refused_and_change_nothing(kept: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "b.sqlite"
    backup.save(kept.path, target)
    kept.close()
    before = kept.path.read_bytes()
    good = target.read_bytes()
    with pytest.raises(NotFound, match="there is no backup at"):
        backup.restore(tmp_path / "absent", kept.path, force=True)
    for bad in (b"", good[:3000], good[: len(good) // 2], b"garbage" * 1000):
        target.write_bytes(bad)
        with pytest.raises(StoreBroken):
            backup.restore(target, kept.path, force=True)
    target.write_bytes(good)
    damage(target)
    with pytest.raises(StoreBroken):
        backup.restore(target, kept.path, force=True)
    assert kept.path.read_bytes() == before
    assert names(kept.path.parent) == {"mesh.sqlite", "mesh.sqlite.lock"}


def test_backup_from_a_newer_meshbox_is_refused(kept: SqliteStore, tmp_path: Path) -> None:
    kept.close()
    with closing(sqlite3.connect(kept.path)) as raw:
        raw.execute("INSERT INTO schema_version VALUES (9, 'future', 0, '9.0')")
        raw.commit()
    with pytest.raises(StoreNewer, match=r"schema 9, written by meshbox 9\.0"):
        backup.restore(kept.path, tmp_path / "new" / "mesh.sqlite")


def test_older_backup_is_restored_and_upgraded_when_opened(
    kept: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.close()
    later = (*MIGRATIONS, Migration(MIGRATIONS[-1].version + 1, "nothing", lambda raw: None))
    monkeypatch.setattr(backup, "MIGRATIONS", later)
    restored = backup.restore(kept.path, tmp_path / "new" / "mesh.sqlite")
    assert restored.inspection == Inspection(MIGRATIONS[-1].version)
    assert migrate.upgrade(tmp_path / "new" / "mesh.sqlite", START, later).found == MIGRATIONS[-1].version
