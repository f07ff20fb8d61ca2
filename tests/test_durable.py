"""Files that are replaced whole, and whether there is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshbox.durable import is_there, write_whole


def test_the_new_content_takes_the_place_of_the_old_and_is_ours_alone(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    path.chmod(0o644)
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_draft_left_by_a_crash_is_in_nobodys_way(tmp_path: Path) -> None:
    left = tmp_path / "state.new"
    left.write_text("half of a much longer tex")
    left.chmod(0o666)
    write_whole(tmp_path / "state", b"new")
    assert (tmp_path / "state").read_bytes() == b"new"
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_written_leaves_the_old(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("old")
    (tmp_path / "state.new").mkdir()
    with pytest.raises(OSError):
        write_whole(path, b"new")
    assert path.read_text() == "old"


def test_what_may_not_be_looked_at_is_not_taken_for_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert is_there(file) and not is_there(tmp_path / "none") and not is_there(file / "below")

    def closed(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)
    with pytest.raises(PermissionError):
        is_there(file)
