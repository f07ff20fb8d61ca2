"""The copy elsewhere: a real restic with a repository in a directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from meshbox.errors import OffsiteError
from meshbox.serve.backup import shelf, status
from meshbox.serve.backup.create import copy, create
from tests.serve.backup.test_create import Box

pytestmark = pytest.mark.slow


@pytest.fixture
def box(tmp_path: Path) -> Box:
    assert shutil.which("restic"), "restic is missing: apt-get install restic"
    password = tmp_path / "password"
    password.write_text("a long one")
    offsite = {"repository": str(tmp_path / "repository"), "password_path": str(password)}
    return Box(tmp_path, keep_last=2, keep_daily=0, keep_weekly=0, keep_monthly=0, offsite=offsite)


def restic(box: Box, *words: str) -> str:
    offsite = box.config.backup.offsite
    command = [
        "restic",
        "--no-cache",
        "--repo",
        offsite.repository,
        "--password-file",
        str(offsite.password_path),
    ]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=True)
    return done.stdout


def test_each_backup_is_copied_and_comes_back_byte_for_byte(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = box.make()
    assert made.offsite
    back = box.directory / "back"
    restic(box, "restore", "latest", "--target", str(back))
    assert (back / str(made.path).lstrip("/")).read_bytes() == made.path.read_bytes()
    # Later ones, each under a name of its own: the rule thins the repository too.
    now = made.manifest.created_at
    for day in (1, 2, 3):
        monkeypatch.setattr("meshbox.serve.backup.create.time.time", lambda day=day: now + day * 86_400)
        box.make()
    snapshots = json.loads(restic(box, "snapshots", "--json"))
    assert len(snapshots) == 2
    assert all(snapshot["tags"] == ["meshbox"] for snapshot in snapshots)
    restic(box, "check", "--read-data")
    assert status.read(box.state).offsite is None


def test_a_copy_that_fails_says_why_and_leaves_the_archive(box: Box) -> None:
    box.make()
    (box.directory / "password").write_text("a wrong one")
    with pytest.raises(OffsiteError, match=r"was made, but the copy to .*wrong password") as caught:
        box.make()
    assert caught.value.exit_code == 18
    found = status.read(box.state)
    assert found.failure is None and found.offsite is not None and "wrong password" in found.offsite.reason
    (box.directory / "password").write_text("a long one")
    box.make()
    assert status.read(box.state).offsite is None


def test_the_copy_may_be_the_work_of_another_process(box: Box) -> None:
    made = create(box.config, [box.file], elsewhere=False)
    assert not made.offsite and not (box.directory / "repository").exists()
    (box.directory / "password").rename(box.directory / "away")
    with pytest.raises(OffsiteError):
        copy(box.config, made.path)
    create(box.config, [box.file], elsewhere=False)
    assert status.read(box.state).offsite is not None, "a local backup does not mend the copy"
    (box.directory / "away").rename(box.directory / "password")
    copy(box.config, shelf.newest(box.config))
    assert status.read(box.state).offsite is None
    assert len(json.loads(restic(box, "snapshots", "--json"))) == 1


def test_without_restic_it_says_what_to_install(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(OffsiteError, match="apt install restic"):
        box.make()


def test_variables_come_from_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("a long one")
    (tmp_path / "environment").write_text("# where\nRESTIC_COMPRESSION = 'off'\nTOKEN=a=b\n\n")
    offsite = {
        "repository": str(tmp_path / "repository"),
        "password_path": str(tmp_path / "password"),
        "environment_path": str(tmp_path / "environment"),
    }
    fake = tmp_path / "bin/restic"
    fake.parent.mkdir()
    fake.write_text(f"#!/bin/sh\nenv > {tmp_path}/seen\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{fake.parent}:{os.environ['PATH']}")
    Box(tmp_path, offsite=offsite).make()
    seen = dict(line.split("=", 1) for line in (tmp_path / "seen").read_text().splitlines() if "=" in line)
    assert (seen["RESTIC_COMPRESSION"], seen["TOKEN"]) == ("off", "a=b")
