"""What may lie where the database should be: each is refused in one clear sentence, and left as it was."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from meshbox import store
from meshbox.errors import StoreBroken, StoreError, StoreFull
from meshbox.tailnet.ports import Put
from tests.hostile.child import in_child
from tests.store.samples import START, node, user

NOBODY = 65534


def make_database(path: Path, count: int = 3) -> None:
    kept = store.open(path, START)
    kept.commit([Put(user(1)), *(Put(node(number)) for number in range(1, count))])
    kept.close()


def garbage(path: Path) -> None:
    path.write_bytes(hashlib.shake_128(b"garbage").digest(50_000))


def foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("CREATE TABLE nodes (id INTEGER PRIMARY KEY, machine_key TEXT)")


def damaged_page(path: Path) -> None:
    make_database(path, 200)
    with path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xa5" * 4096 * 3)


def cut_in_half(path: Path) -> None:
    make_database(path, 200)
    os.truncate(path, path.stat().st_size // 2)


def without_tables(path: Path) -> None:
    make_database(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("DROP TABLE schema_version")


def bad_value(path: Path) -> None:
    make_database(path)
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("UPDATE nodes SET ipv4 = '100.64.0.999' WHERE id = 1")
        raw.commit()


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "volume" / "mesh.sqlite")


def log_alone(path: Path) -> None:
    path.with_name("mesh.sqlite-wal").write_bytes(b"log")


OBSTACLES: list[tuple[Callable[[Path], object], str]] = [
    (Path.mkdir, "is a directory: database.sqlite.path must name a file"),
    (os.mkfifo, "is not a regular file"),
    (Path.touch, "is an empty file, not a database: restore a backup"),
    (lambda path: path.write_bytes(b"SQLite format 3\0"), "is not a database"),
    (garbage, "is not a database: restore a backup, or name another file"),
    (foreign, "is the database of another program"),
    (cut_in_half, "is damaged"),
    (damaged_page, "is damaged"),
    (without_tables, "no such table"),
    (link_to_nothing, "is a link to nothing: mount the disk it points to"),
    (log_alone, "is missing but its write-ahead log mesh.sqlite-wal is there"),
]


def fingerprint(directory: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes() if file.is_file() else b""
        for file in directory.iterdir()
        if file.name != "mesh.sqlite.lock"
    }


@pytest.mark.parametrize(("lay", "sentence"), OBSTACLES, ids=[sentence for _, sentence in OBSTACLES])
def test_what_is_no_database_is_refused_and_left_alone(
    tmp_path: Path, lay: Callable[[Path], object], sentence: str
) -> None:
    path = tmp_path / "mesh.sqlite"
    lay(path)
    before = fingerprint(tmp_path)
    for _ in range(2):
        with pytest.raises(StoreBroken) as caught:
            store.open(path, START)
        assert sentence in str(caught.value)
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    assert fingerprint(tmp_path) == before


def test_a_value_nobody_wrote_is_refused_when_it_is_read(tmp_path: Path) -> None:
    bad_value(tmp_path / "mesh.sqlite")
    kept = store.open(tmp_path / "mesh.sqlite", START)
    with pytest.raises(StoreBroken, match=r"holds a value that cannot be read .*100\.64\.0\.999"):
        kept.load()
    kept.close()


def test_a_directory_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    with pytest.raises(StoreError, match="state"):
        store.open(tmp_path / "state" / "mesh.sqlite", START)


@pytest.mark.parametrize("closed", ["file", "directory", "both"])
def test_what_cannot_be_written_is_said_at_start(tmp_path: Path, closed: str) -> None:
    """As another user: root may write everywhere."""
    directory = tmp_path / "state"
    path = directory / "mesh.sqlite"
    make_database(path)
    for parent in (tmp_path.parent, tmp_path.parent.parent, tmp_path):
        parent.chmod(0o755)
    directory.chmod(0o555 if closed in ("directory", "both") else 0o777)
    path.chmod(0o444 if closed in ("file", "both") else 0o666)
    path.with_name("mesh.sqlite.lock").chmod(0o666)
    before = fingerprint(directory)

    def work(say: Callable[[bytes], object]) -> None:
        if os.geteuid() == 0:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        try:
            store.open(path, START)
        except StoreFull as error:
            say(str(error).encode())

    said = in_child(work).decode()
    assert "mesh.sqlite" in said
    assert "belong to the server's user" in said or "writable for the server's user" in said
    assert fingerprint(directory) == before


def test_a_lock_of_another_program_is_waited_for_briefly_then_told(tmp_path: Path) -> None:
    path = tmp_path / "mesh.sqlite"
    make_database(path)
    kept = store.open(path, START)
    before = kept.load()
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        for refused in (lambda: kept.commit([Put(user(2))]), lambda: kept.flush({}), kept.check):
            with pytest.raises(StoreBroken, match="the database is locked by another program: close any"):
                refused()
        assert time.monotonic() - begun < 30
        assert kept.load() == before
        shell.execute("ROLLBACK")
    kept.commit([Put(user(2))])
    kept.close()


def test_opening_while_another_program_holds_the_lock_is_told(tmp_path: Path) -> None:
    path = tmp_path / "mesh.sqlite"
    make_database(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as shell:
        shell.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBroken, match="is locked by another program"):
            store.open(path, START)
    store.open(path, START).close()


def test_two_names_of_one_file_share_its_lock(tmp_path: Path) -> None:
    make_database(tmp_path / "mesh.sqlite")
    (tmp_path / "link.sqlite").symlink_to(tmp_path / "mesh.sqlite")
    kept = store.open(tmp_path / "link.sqlite", START)
    with pytest.raises(StoreBroken, match="in use by another meshbox"):
        store.open(tmp_path / "mesh.sqlite", START)
    kept.close()
    assert (tmp_path / "link.sqlite").is_symlink()


def test_messages_to_peers_name_no_paths(tmp_path: Path) -> None:
    path = tmp_path / "mesh.sqlite"
    make_database(path)
    kept = store.open(path, START)
    kept._connection.raw.execute("PRAGMA max_page_count = 1")
    with pytest.raises(StoreFull) as caught:
        kept.commit([Put(node(number)) for number in range(10, 90)])
    assert str(caught.value) == "no space left for the database: free some space on its disk and try again"
    kept._connection.raw.execute("PRAGMA max_page_count = 100000")
    kept.commit([Put(node(number)) for number in range(10, 90)])
    kept.close()
