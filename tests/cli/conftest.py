from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from meshbox.cli.main import main
from tests.serve.api.stand import Stand


@dataclass(frozen=True, slots=True)
class Outcome:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Shell:
    """Types command lines at a server, with nobody at the keyboard."""

    def __init__(self, stand: Stand, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.stand = stand
        self.file = file
        self._capsys = capsys

    def type(self, *words: str) -> Outcome:
        self._capsys.readouterr()
        code = main(["-c", str(self.file), *words])
        said = self._capsys.readouterr()
        return Outcome(code, said.out, said.err)

    def json(self, *words: str) -> Any:
        import json

        outcome = self.type(*words, "-o", "json")
        assert outcome.code == 0, outcome
        return json.loads(outcome.out)


@pytest.fixture(autouse=True)
def quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MESHBOX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "stdin", io.StringIO())


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path) as running:
        yield running


@pytest.fixture
def shell(stand: Stand, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    file = tmp_path / "config.yaml"
    file.write_text("server_url: https://mesh.example.org\nunix_socket: api.sock\n")
    return Shell(stand, file, capsys)
