"""Backups of a server that runs: whole, private, beside it, and honest about how they went."""

from __future__ import annotations

import os
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from meshbox import store
from meshbox.config import Config
from meshbox.errors import BackupError, NotFound, Refused, StoreBroken, StoreError, StoreNewer
from meshbox.secrets import backup_key_text
from meshbox.serve.backup import create as creating
from meshbox.serve.backup import restore as restoring
from meshbox.serve.backup import shelf, status
from meshbox.serve.backup.create import create
from meshbox.serve.backup.restore import restore, verify
from meshbox.store import files
from meshbox.store.store import SqliteStore
from meshbox.tailnet.ports import Put
from meshbox.wire.sealed import public_key_of
from tests.fake.server import configured, write_config
from tests.store.samples import START, node, user

PRIVATE = bytes(range(32))
PUBLIC = backup_key_text(public_key_of(PRIVATE), "pub")


class Box:
    """A state directory with a live database, its configuration, and the backups beside."""

    def __init__(self, directory: Path, /, **backup: Any) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.state.mkdir(mode=0o700)
        wanted = {"directory": str(directory / "backups"), **backup}
        self.file = write_config(directory, state_dir=str(self.state), backup=wanted)
        (self.state / "noise_private.key").write_text("privkey:" + "ab" * 32)
        (self.state / "noise_private.key").chmod(0o600)
        (self.state / "acme").mkdir()
        (self.state / "acme/account.key").write_text("account")
        self.store: SqliteStore = store.open(self.state / "db.sqlite", START)
        self.store.commit([Put(user(1)), Put(node(1))])

    @property
    def config(self) -> Config:
        return configured(self.file)

    def make(self) -> creating.Created:
        return create(self.config, [self.file])


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def tree(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith((".lock", "-wal", "-shm"))
    }


def test_a_backup_is_one_private_file_beside_a_server_that_goes_on(box: Box) -> None:
    made = box.make()
    assert (made.manifest.nodes, made.manifest.users, made.sealed) == (1, 1, False)
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    box.store.commit([Put(user(2))])
    assert {Path(member.path).name for member in made.manifest.members} == {
        "db.sqlite", "noise_private.key", "config.yaml", "account.key",
    }  # fmt: skip
    found = verify(made.path, None)
    assert found.inspection is not None and found.inspection.nodes == 1
    assert status.read(box.state).success == status.Success(
        made.manifest.created_at, str(made.path), made.size, made.seconds
    )


def test_back_on_a_fresh_machine_everything_is_as_it_was(box: Box, tmp_path: Path) -> None:
    made = box.make()
    expected = box.store.load()
    before = tree(box.state)
    fresh = tmp_path / "fresh"
    done = restore(made.path, None, fresh)
    assert done.replaced == ()
    home = restoring.below(fresh, str(box.state))
    assert home.stat().st_mode & 0o777 == 0o700
    after = tree(home)
    opened = store.open(home / "db.sqlite", START)
    assert opened.load() == expected
    opened.close()
    del before["db.sqlite"], after["db.sqlite"], before["backup-status.json"]
    assert after == before
    assert restoring.below(fresh, str(box.file)).read_bytes() == box.file.read_bytes()
    assert (home / "noise_private.key").stat().st_mode & 0o777 == 0o600


def test_live_data_is_not_replaced_unless_forced_and_kept_then(box: Box) -> None:
    made = box.make()
    with pytest.raises(StoreBroken, match="in use by another meshbox"):
        restore(made.path, None, force=True)
    box.store.commit([Put(user(2)), Put(node(2))])
    box.store.close()
    (box.state / "noise_private.key").write_text("another")
    before = tree(box.directory)
    with pytest.raises(Refused, match=r"db\.sqlite, .*noise_private\.key: with --force"):
        restore(made.path, None)
    assert tree(box.directory) == before
    done = restore(made.path, None, force=True)
    assert [path.name for path in done.replaced] == ["noise_private.key.replaced-1", "db.sqlite.replaced-1"]
    assert (box.state / "noise_private.key.replaced-1").read_text() == "another"
    opened = store.open(box.state / "db.sqlite", START)
    assert len(opened.load().nodes) == 1
    opened.close()
    kept = store.open(box.state / "db.sqlite.replaced-1", START)
    assert len(kept.load().nodes) == 2
    kept.close()


def test_an_encrypted_backup_is_opened_by_the_private_key_alone(tmp_path: Path) -> None:
    box = Box(tmp_path, recipients=[PUBLIC])
    made = box.make()
    assert made.sealed and made.path.name.endswith(".tar.zst.sealed")
    raw = made.path.read_bytes()
    assert b"privkey" not in raw and b"SQLite" not in raw and b"noise" not in raw
    assert verify(made.path, None).manifest is None
    found = verify(made.path, PRIVATE)
    assert found.inspection is not None and found.inspection.nodes == 1
    [entry] = shelf.inventory(box.config.backup.directory)
    assert entry.label["sealed"] and entry.label["nodes"] == 1
    with pytest.raises(BackupError, match="--key-file"):
        restore(made.path, None, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()
    restore(made.path, PRIVATE, tmp_path / "fresh")
    assert restoring.below(tmp_path / "fresh", str(box.state / "noise_private.key")).exists()
    made.path.write_bytes(raw[:-40] + b"x" + raw[-39:])
    with pytest.raises(BackupError, match="not the file that was written"):
        verify(made.path, None)
    box.store.close()


def test_amid_writes_of_another_connection_it_is_one_moment(box: Box) -> None:
    made: list[creating.Created] = []
    thread = threading.Thread(target=lambda: made.extend(box.make() for _ in range(3)))
    thread.start()
    number = 1
    while thread.is_alive():
        number += 1
        box.store.commit([Put(user(number)), Put(node(number, user_id=number))])
    thread.join()
    assert len(made) == 3 and number > 20
    assert all(one.manifest.users == one.manifest.nodes for one in made)


def test_nothing_to_back_up_leaves_nothing_behind(tmp_path: Path) -> None:
    file = write_config(tmp_path, state_dir=str(tmp_path / "state"))
    with pytest.raises(NotFound, match="has not run here yet"):
        create(configured(file), [file])
    assert {path.name for path in tmp_path.iterdir()} == {"config.yaml"}


@pytest.mark.parametrize("place", ["archive.write", "_read_back", "backup.save"])
def test_a_failure_at_any_step_keeps_the_older_ones_and_is_remembered(
    box: Box, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    made = box.make()
    good = made.path.read_bytes()

    def fail(*args: object) -> None:
        raise OSError(28, "No space left on device")

    target, _, name = place.rpartition(".")
    monkeypatch.setattr(getattr(creating, target) if target else creating, name, fail)
    said: list[str] = []
    monkeypatch.setattr(creating.log, "emit", lambda event, **fields: said.append(event))
    with pytest.raises(StoreError, match="no space left"):
        box.make()
    assert said == ["backup_failed"]
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]
    assert made.path.read_bytes() == good
    found = status.read(box.state)
    assert found.failure is not None and "no space left" in found.failure.reason
    assert found.success is not None and found.success.archive == str(made.path)
    monkeypatch.undo()
    box.make()
    assert status.read(box.state).failure is None


def test_a_damaged_database_is_no_backup(box: Box) -> None:
    made = box.make()
    box.store.close()
    with (box.state / "db.sqlite").open("r+b") as file:
        file.seek(4096 * 5)
        file.write(b"\xa5" * 4096)
    with pytest.raises(StoreBroken):
        box.make()
    assert [path.name for path in made.path.parent.iterdir()] == [made.path.name]


def test_bad_archives_change_nothing(box: Box, tmp_path: Path) -> None:
    made = box.make()
    box.store.close()
    good = made.path.read_bytes()
    before = tree(box.state)
    for bad in (b"", good[: len(good) // 2], good[:-1], b"garbage" * 100):
        made.path.write_bytes(bad)
        with pytest.raises(BackupError):
            restore(made.path, None, force=True)
        with pytest.raises(BackupError):
            verify(made.path, None)
    assert tree(box.state) == before
    assert not list(tmp_path.glob("**/.meshbox-restore-*"))


def test_a_database_from_a_newer_meshbox_is_refused_before_anything_is_touched(box: Box) -> None:
    box.store.close()
    with closing(sqlite3.connect(box.state / "db.sqlite")) as raw:
        raw.execute("INSERT INTO schema_version VALUES (99, 'future', 0, '9.0')")
        raw.commit()
    with pytest.raises(StoreNewer):
        box.make()


def test_older_ones_go_by_the_rule_and_other_files_stay(tmp_path: Path) -> None:
    box = Box(tmp_path, keep_last=2, keep_daily=0, keep_weekly=0, keep_monthly=0)
    directory = box.config.backup.directory
    directory.mkdir()
    for name in ("meshbox-20200101T000000Z.tar.zst", "meshbox-20200102T000000Z.tar.zst.sealed", "notes.txt"):
        (directory / name).write_text("x")
    assert shelf.prune(box.config, dry_run=True) == []
    made = box.make()
    assert {path.name for path in made.pruned} == {"meshbox-20200101T000000Z.tar.zst"}
    assert {path.name for path in directory.iterdir()} == {
        made.path.name, "notes.txt", "meshbox-20200102T000000Z.tar.zst.sealed",
    }  # fmt: skip
    assert [entry.fault != "" for entry in shelf.inventory(directory)] == [False, True]


def test_two_at_a_time_do_not_meet(box: Box) -> None:
    directory = box.config.backup.directory
    directory.mkdir()
    with files.claimed(directory), pytest.raises(StoreBroken, match="is running: wait"):
        box.make()


@pytest.mark.root
def test_root_may_make_them_for_the_server_s_user(box: Box) -> None:
    for path in (box.state, *box.state.rglob("*")):
        os.chown(path, 65534, 65534)
    made = box.make()
    by_name = {Path(member.path).name: member for member in made.manifest.members}
    assert by_name["noise_private.key"].owner == "nobody"
    assert (box.state / "backup-status.json").owner() == "nobody"
    restore(made.path, None, box.directory / "fresh")
    home = restoring.below(box.directory / "fresh", str(box.state))
    assert {path.owner() for path in (home, *home.rglob("*"))} == {"nobody"}
    assert {path.owner() for path in (box.state, *box.state.rglob("*"))} == {"nobody"}


@pytest.mark.root
def test_a_directory_that_root_makes_for_backups_is_the_server_s(tmp_path: Path) -> None:
    box = Box(tmp_path, directory=str(tmp_path / "state/backups"))
    for path in (box.state, *box.state.rglob("*")):
        os.chown(path, 65534, 65534)
    made = box.make()
    assert made.path.parent.owner() == made.path.owner() == "nobody"


def test_a_server_that_starts_in_the_middle_of_a_restore_is_kept_out(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a socket unit does when a client knocks."""
    made = box.make()
    box.store.close()
    refused: list[str] = []
    real = restoring.placing.put

    def put(*args: Any) -> list[Path]:
        with pytest.raises(StoreBroken) as caught:
            store.open(box.state / "db.sqlite", START)
        refused.append(str(caught.value))
        return real(*args)

    monkeypatch.setattr(restoring.placing, "put", put)
    restore(made.path, None, force=True)
    assert len(refused) == 1 and "in use by another meshbox" in refused[0]
    store.open(box.state / "db.sqlite", START).close()
