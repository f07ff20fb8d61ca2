"""Migrations: the schema is what the file says, steps never change, a failed upgrade changes nothing."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from meshbox import store
from meshbox.errors import StoreBroken, StoreFull, StoreNewer
from meshbox.store import migrate, snapshot, steps
from meshbox.store.steps import MIGRATIONS, Migration
from meshbox.tailnet.ports import Put
from tests.store.samples import START, node, policy, user

PACKAGE = Path(store.__file__).parent

# A released step is never edited: a database somewhere has already taken it.
STEP_FILES = {
    "m0001_initial.py": "4a5498586e497a078d80adedd48072258ed26dff331138db7ff22fabb6f6774f",
    "m0002_policies.py": "097a3572c6e6342ae79ced3ff0db5f483faa51f45b3204be73c6c0ef26c6c069",
    "m0003_life.py": "d6fc969fd07142ec4ebad3f2455f4033f1d0e83e51cb15d5a8f5e5e439daf273",
}
NOW = MIGRATIONS[-1].version


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with something in it."""
    path = tmp_path / "mesh.sqlite"
    kept = store.open(path, START)
    kept.commit([Put(user(1)), Put(node(1))])
    kept.close()
    return path


def objects(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as raw:
        return [sql for (sql,) in raw.execute("SELECT sql FROM sqlite_master WHERE sql <> '' ORDER BY name")]


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def content(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest()


def test_schema_file_is_what_the_steps_make(path: Path, tmp_path: Path) -> None:
    written = tmp_path / "written.sqlite"
    with closing(sqlite3.connect(written)) as raw:
        raw.executescript((PACKAGE / "schema.sql").read_text())
    made = [sql for sql in objects(path) if "sqlite_sequence" not in sql]
    assert [sql for sql in objects(written) if "sqlite_sequence" not in sql] == made


def test_released_steps_are_unchanged() -> None:
    files = {file.name: file for file in (PACKAGE / "steps").glob("m[0-9]*.py")}
    assert {name: hashlib.sha256(file.read_bytes()).hexdigest() for name, file in files.items()} == STEP_FILES


def test_steps_are_numbered_without_gaps_and_named_like_their_files() -> None:
    assert [step.version for step in MIGRATIONS] == list(range(1, len(MIGRATIONS) + 1))
    assert sorted(f"m{step.version:04}_{step.name}.py" for step in MIGRATIONS) == sorted(STEP_FILES)
    assert all(step.apply.__module__.startswith(steps.__name__) for step in MIGRATIONS)


def test_new_database_notes_its_schema(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        noted = raw.execute("SELECT version, name, applied_at FROM schema_version").fetchall()
    assert noted == [(step.version, step.name, START) for step in MIGRATIONS]
    assert names(path.parent) == {"mesh.sqlite", "mesh.sqlite.lock"}


def add_colour(raw: sqlite3.Connection) -> None:
    raw.execute("ALTER TABLE users ADD COLUMN colour TEXT NOT NULL DEFAULT 'green'")


def rebuild_users(raw: sqlite3.Connection) -> None:
    """What a real step may do: a table that others refer to is made anew."""
    (sql,) = raw.execute("SELECT sql FROM sqlite_master WHERE name = 'users'").fetchone()
    raw.execute(re.sub("TABLE users", "TABLE users_new", sql))
    raw.execute("INSERT INTO users_new SELECT * FROM users")
    raw.execute("DROP TABLE users")
    raw.execute("ALTER TABLE users_new RENAME TO users")


def break_off(raw: sqlite3.Connection) -> None:
    raw.execute("DELETE FROM reports")
    raw.execute("CREATE TABLE users (id INTEGER)")


def orphan_nodes(raw: sqlite3.Connection) -> None:
    raw.execute("DELETE FROM users")


def test_upgrade_takes_a_backup_first_and_runs_all_that_is_due(path: Path) -> None:
    later = (
        *MIGRATIONS,
        Migration(NOW + 1, "rebuild", rebuild_users),
        Migration(NOW + 2, "colour", add_colour),
    )
    done = migrate.upgrade(path, START + 1, later)
    backup = path.with_name(f"mesh.sqlite.schema-{NOW}.backup")
    assert done == migrate.Schema(NOW, NOW + 2, backup)
    assert backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT name, colour FROM users").fetchall() == [("user1", "green")]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    assert migrate.upgrade(path, START + 2, later) == migrate.Schema(NOW + 2, NOW + 2)
    backup.rename(path)
    kept = store.open(path, START)
    assert [user.name for user in kept.load().users] == ["user1"]
    kept.close()


@pytest.mark.parametrize("step", [break_off, orphan_nodes])
def test_failed_upgrade_leaves_the_database_to_the_old_version(path: Path, step: object) -> None:
    before = content(path)
    later = (*MIGRATIONS, Migration(NOW + 1, "colour", add_colour), Migration(NOW + 2, "broken", step))  # type: ignore[arg-type]
    with pytest.raises(
        StoreBroken, match="nothing has changed, so the previous meshbox still works"
    ) as caught:
        migrate.upgrade(path, START, later)
    assert f"mesh.sqlite.schema-{NOW}.backup" in str(caught.value)
    assert content(path) == before
    kept = store.open(path, START)
    assert len(kept.load().nodes) == 1
    kept.close()


def test_upgrade_without_room_for_the_backup_is_not_begun(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: object) -> None:
        raise StoreFull("no space left for the copy")

    monkeypatch.setattr(snapshot, "copy", no_room)
    before = content(path)
    with pytest.raises(StoreFull, match="needs a backup first and was not begun"):
        migrate.upgrade(path, START, (*MIGRATIONS, Migration(NOW + 1, "colour", add_colour)))
    assert content(path) == before


def test_newer_database_is_refused_with_both_versions(path: Path) -> None:
    migrate.upgrade(path, START, (*MIGRATIONS, Migration(NOW + 1, "colour", add_colour)))
    before = content(path)
    with pytest.raises(
        StoreNewer, match=rf"has schema {NOW + 1}, written by meshbox .*knows up to {NOW}: install"
    ):
        store.open(path, START)
    assert content(path) == before


def test_the_first_schema_is_upgraded_and_people_are_members_without_groups(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    migrate.create(path, START, MIGRATIONS[:1])
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("INSERT INTO users VALUES (7, 'ana', 1.0, '', '', '', '', '')")
        raw.commit()
    kept = store.open(path, START)
    (ana,) = kept.load().users
    assert (ana.name, ana.role, ana.groups) == ("ana", "member", ())
    assert kept.load().policy is None
    kept.commit([Put(user(7, name="ana", role="admin", groups=("group:ops",))), Put(policy(1))])
    kept.close()
    again = store.open(path, START)
    (ana,) = again.load().users
    assert (ana.role, ana.groups, again.load().policy) == ("admin", ("group:ops",), policy(1))
    again.close()


def test_killed_creation_leaves_no_database(tmp_path: Path) -> None:
    """What a creation that died left behind is swept up by the next."""
    (tmp_path / "mesh.sqlite.draft").write_bytes(b"half")
    (tmp_path / "mesh.sqlite.draft-wal").write_bytes(b"half")
    kept = store.open(tmp_path / "mesh.sqlite", START)
    kept.close()
    assert names(tmp_path) == {"mesh.sqlite", "mesh.sqlite.lock"}
