"""Copies of a database: complete under their name, or not there."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from meshbox.errors import StoreBroken
from meshbox.store import files, snapshot
from meshbox.store.store import SqliteStore
from meshbox.tailnet.ports import Put
from tests.store.samples import node, user


def names(directory: Path) -> set[str]:
    return {file.name for file in directory.iterdir()}


def test_a_copy_holds_the_log_too_and_is_one_file(kept: SqliteStore, tmp_path: Path) -> None:
    kept.commit([Put(user(1))])
    found = snapshot.copy(
        kept.path, tmp_path / "copy", lambda raw: raw.execute("SELECT name FROM users").fetchall()
    )
    assert found == [("user1",)]
    assert names(tmp_path) == {"state", "copy"}
    assert (tmp_path / "copy").stat().st_mode & 0o777 == 0o600


def test_a_copy_that_does_not_please_is_not_published(kept: SqliteStore, tmp_path: Path) -> None:
    (tmp_path / "copy").write_bytes(b"earlier")

    def displeased(raw: sqlite3.Connection) -> None:
        raise StoreBroken("not good")

    with pytest.raises(StoreBroken, match="not good"):
        snapshot.copy(kept.path, tmp_path / "copy", displeased)
    assert (tmp_path / "copy").read_bytes() == b"earlier"
    assert names(tmp_path) == {"state", "copy"}


def test_faults_in_pages_and_references_are_found(kept: SqliteStore, path: Path) -> None:
    kept.commit([Put(user(1)), *(Put(node(number)) for number in range(1, 100))])
    kept.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        snapshot.check_pages(raw)
        raw.execute("DELETE FROM users")
        with pytest.raises(StoreBroken, match="a row in nodes refers to nothing in users"):
            snapshot.check_pages(raw)
    with path.open("r+b") as file:
        file.seek(files.HEADER_BYTES + 4096 * 12)
        file.write(b"\xa5" * 4000)
    with closing(sqlite3.connect(path)) as raw, pytest.raises(StoreBroken, match="damaged") as caught:
        snapshot.check_pages(raw)
    assert "\n" not in str(caught.value)
