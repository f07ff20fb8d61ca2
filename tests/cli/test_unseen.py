"""With root's eyes everything is fine; the service has others. Needs root and a user to be."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshbox.cli import unseen
from tests.house.tree import ROOT

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can look with another's eyes"),
]
UNIT = ROOT / "systemd" / "meshbox.service"


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory that anybody may enter, outside of what the unit hides."""
    monkeypatch.setattr(unseen, "UNIT", UNIT)
    monkeypatch.setattr(unseen, "USER", "daemon")
    place = Path(tempfile.mkdtemp(dir="/srv"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def found(*files: Path) -> list[str]:
    return [problem.text for problem in unseen.unseen([("policy.path", file) for file in files])]


@pytest.fixture
def file(place: Path) -> Path:
    file = place / "sub" / "policy.hujson"
    file.parent.mkdir()
    file.write_text("{}")
    file.chmod(0o644)
    file.parent.chmod(0o755)
    return file


def test_what_everybody_may_read_is_fine(file: Path) -> None:
    assert found(file) == []


def test_a_file_or_directory_of_root_is_named_with_the_way_out(file: Path) -> None:
    file.chmod(0o600)
    [text] = found(file)
    assert "cannot be read by daemon" in text and f"`chgrp daemon {file} && chmod g+r {file}`" in text
    file.parent.chmod(0o700)
    [text] = found(file)
    assert f"`chgrp daemon {file.parent} && chmod g+x {file.parent}`" in text


def test_homes_and_temporary_directories_are_out_of_sight(file: Path, tmp_path: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(tmp_path / "policy.hujson")
    (tmp_path / "policy.hujson").write_text("{}")
    (tmp_path / "policy.hujson").chmod(0o644)
    assert [text.partition(";")[0] for text in found(link)] == [
        f"{link} is in /tmp, where the service sees nothing"
    ]


def test_the_unit_hides_what_is_said_of_it() -> None:
    lines = UNIT.read_text().splitlines()
    assert {"ProtectHome=yes", "PrivateTmp=yes"} <= set(lines) and f"User={unseen.USER}" in lines


def test_without_the_unit_nobody_knows(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.chmod(0o600)
    monkeypatch.setattr(unseen, "UNIT", file.with_name("none"))
    assert found(file) == []
