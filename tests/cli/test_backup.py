"""`meshbox backup` as somebody types it, wrong and right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshbox.cli.main import main
from meshbox.secrets import read_backup_key
from meshbox.wire.sealed import public_key_of
from tests.cli.conftest import Outcome
from tests.serve.backup.test_create import PRIVATE, PUBLIC, Box


class Keyboard:
    def __init__(self, box: Box, capsys: pytest.CaptureFixture[str]) -> None:
        self.box = box
        self._capsys = capsys

    def type(self, *words: str) -> Outcome:
        self._capsys.readouterr()
        code = main(["-c", str(self.box.file), "backup", *words])
        said = self._capsys.readouterr()
        return Outcome(code, said.out, said.err)

    def json(self, *words: str) -> Any:
        outcome = self.type(*words, "-o", "json")
        assert outcome.code == 0, outcome
        return json.loads(outcome.out)


@pytest.fixture
def keyboard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Keyboard:
    return Keyboard(Box(tmp_path), capsys)


def test_create_prints_the_archive_and_list_shows_it(keyboard: Keyboard) -> None:
    made = keyboard.type("create")
    assert made.code == 0 and "backup of 1 nodes" in made.err
    archive = Path(made.out.strip())
    assert archive.exists()
    [entry] = keyboard.json("list")
    assert entry["archive"] == str(archive) and entry["nodes"] == 1 and not entry["encrypted"]
    assert keyboard.type("list", "-o", "name").out.strip() == str(archive)
    assert keyboard.type("verify", str(archive)).code == 0
    assert str(archive) in keyboard.type("verify").err
    inside = keyboard.json("verify", str(archive))
    assert inside["opened"] and str(keyboard.box.file) in inside["files"]


def test_restore_refuses_then_replaces_with_force(keyboard: Keyboard) -> None:
    archive = keyboard.type("create").out.strip()
    running = keyboard.type("restore", archive, "--force")
    assert running.code == 15 and "stop that one first" in running.err
    keyboard.box.store.close()
    occupied = keyboard.type("restore", archive, "--yes")
    assert occupied.code == 4 and "with --force they are kept beside" in occupied.err
    done = keyboard.json("restore", archive, "--force")
    assert [Path(path).name for path in done["replaced"]] == ["db.sqlite.replaced-1"]
    fresh = keyboard.box.directory / "fresh"
    look = keyboard.type("restore", archive, "--root", str(fresh))
    assert look.code == 0 and "now start the server" in look.err
    assert (fresh / str(keyboard.box.state).lstrip("/") / "db.sqlite").exists()


def test_each_failure_has_its_sentence_and_code(keyboard: Keyboard, tmp_path: Path) -> None:
    assert "meshbox backup create makes one" in keyboard.type("verify").err
    keyboard.type("create")
    for words, code, says in (
        (("copy",), 18, "backup.offsite.repository names no repository"),
        (("verify", "/nowhere"), 17, "no archive at /nowhere"),
        (("verify", "/etc/passwd"), 17, "no backup of meshbox"),
        (("restore", "/nowhere"), 17, "no archive"),
        (("restore",), 2, "ARCHIVE"),
        (("verify", "/etc/passwd", "--key-file", "/nowhere"), 17, "cannot be read"),
        (("verify", "/etc/passwd", "--key-file", "/etc/passwd"), 2, "is no backup key"),
        (("crate",), 2, "did you mean create"),
    ):
        outcome = keyboard.type(*words)
        assert outcome.code == code and says in outcome.err, outcome
    keyboard.box.store.close()
    (keyboard.box.state / "db.sqlite").rename(tmp_path / "away")
    gone = keyboard.type("create", "-o", "json")
    assert gone.code == 3 and "has not run here yet" in json.loads(gone.err)["error"]


def test_keys_are_a_pair_and_open_what_is_sealed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keyboard = Keyboard(Box(tmp_path, recipients=[PUBLIC]), capsys)
    public, private = keyboard.type("keygen").out.split()
    assert public_key_of(read_backup_key(private, "key")) == read_backup_key(public, "pub")
    pair = keyboard.json("keygen")
    assert pair["publicKey"] != public
    archive = keyboard.type("create").out.strip()
    outside = keyboard.type("verify", archive)
    assert outside.code == 0 and "only the private key can tell" in outside.err
    locked = keyboard.type("restore", archive, "--root", str(tmp_path / "fresh"))
    assert locked.code == 17 and "--key-file" in locked.err
    wrong, right, public_one = tmp_path / "wrong", tmp_path / "right", tmp_path / "public"
    wrong.write_text(private)
    from meshbox.secrets import backup_key_text

    right.write_text(backup_key_text(PRIVATE, "key") + "\n")
    public_one.write_text(PUBLIC)
    assert "another key" in keyboard.type("verify", archive, "--key-file", str(wrong)).err
    assert "is the public key" in keyboard.type("verify", archive, "--key-file", str(public_one)).err
    assert keyboard.type("verify", archive, "--key-file", str(right)).code == 0
    done = keyboard.type("restore", archive, "--key-file", str(right), "--root", str(tmp_path / "fresh"))
    assert done.code == 0


def test_prune_says_what_would_go(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keep = dict.fromkeys(("keep_daily", "keep_weekly", "keep_monthly"), 0)
    keyboard = Keyboard(Box(tmp_path, keep_last=1, **keep), capsys)
    directory = keyboard.box.config.backup.directory
    directory.mkdir()
    for day in (1, 2):
        (directory / f"meshbox-2020010{day}T000000Z.tar.zst").write_text("x")
    would = keyboard.type("prune", "--dry-run")
    assert would.out.strip().endswith("meshbox-20200101T000000Z.tar.zst") and "would be removed" in would.err
    assert len(list(directory.iterdir())) == 2
    assert keyboard.json("prune") == {"removed": [would.out.strip()], "dryRun": False}
    assert len(list(directory.iterdir())) == 1


def test_a_slip_in_a_public_key_stops_the_start(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    slipped = PUBLIC[:-10] + ("0" if PUBLIC[-10] != "0" else "1") + PUBLIC[-9:]
    keyboard = Keyboard(Box(tmp_path, recipients=[slipped]), capsys)
    outcome = keyboard.type("create")
    assert outcome.code == 10 and "has a slip in it" in outcome.err
