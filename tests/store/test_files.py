"""Files before SQLite touches them; what else may lie there is in tests/hostile/test_store_files.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.errors import StoreBroken, StoreFull
from meshbox.store import files
from meshbox.store.store import SqliteStore


def test_ours_is_known_and_nothing_is_nothing(kept: SqliteStore, path: Path, tmp_path: Path) -> None:
    assert files.exists(path)
    assert not files.exists(tmp_path / "absent")


def test_an_open_file_is_closed_to_others(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    path.touch()
    for mode, after in ((0o644, 0o600), (0o660, 0o600), (0o400, 0o400)):
        path.chmod(mode)
        files.make_private(path)
        assert path.stat().st_mode & 0o777 == after


def test_a_link_is_followed_and_a_dangling_one_refused(tmp_path: Path) -> None:
    (tmp_path / "real").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert files.resolve(tmp_path / "link") == (tmp_path / "real").resolve()
    assert files.resolve(tmp_path / "absent") == (tmp_path / "absent").resolve()
    (tmp_path / "real").unlink()
    with pytest.raises(StoreBroken, match="link to nothing"):
        files.resolve(tmp_path / "link")


def test_a_draft_sweeps_up_and_takes_its_name_at_once(tmp_path: Path) -> None:
    path = tmp_path / "db.sqlite"
    path.write_bytes(b"old")
    (tmp_path / "db.sqlite.draft").write_bytes(b"remnant")
    (tmp_path / "db.sqlite.draft-journal").write_bytes(b"remnant")
    draft = files.start_draft(path)
    assert (draft.stat().st_size, draft.stat().st_mode & 0o777) == (0, 0o600)
    assert path.read_bytes() == b"old"
    draft.write_bytes(b"new")
    files.publish(draft, path)
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == ["db.sqlite"]


def test_a_draft_with_a_log_is_never_published(tmp_path: Path) -> None:
    draft = files.start_draft(tmp_path / "db.sqlite")
    files.side_file(draft, "-wal").write_bytes(b"the newest facts")
    with pytest.raises(StoreFull, match="could not be folded"):
        files.publish(draft, tmp_path / "db.sqlite")
    assert not (tmp_path / "db.sqlite").exists()


def test_a_directory_is_claimed_by_one(tmp_path: Path) -> None:
    refused = pytest.raises(StoreBroken, match="is running: wait for it")
    with files.claimed(tmp_path), refused, files.claimed(tmp_path):
        raise AssertionError("claimed twice")
    with files.claimed(tmp_path):
        pass
