from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshbox.cli.main import main

GOOD = "server_url: https://mesh.example.org\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("words", [["config", "check"], ["config", "test"], ["configtest"]])
def test_check(file: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", str(file), *words]) == 0
    assert main([*words, str(file)]) == 0
    said = capsys.readouterr()
    assert said.out == "" and said.err == f"{file} is fine\n" * 2


def test_check_tells_all_problems_at_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("server_url: nonsense\nlisten_addr: 1\nlog: {levl: info}\n")
    assert main(["config", "check", str(file)]) == 10
    said = capsys.readouterr()
    assert said.out == ""
    for path in ("server_url", "listen_addr", "log.levl"):
        assert f"  {path}: " in said.err
    assert "Traceback" not in said.err


def test_sample_is_a_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "sample"]) == 0
    file = tmp_path / "sample.yaml"
    file.write_text(capsys.readouterr().out)
    assert main(["config", "check", str(file)]) == 0


def test_show_loads_to_the_same(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-c", str(file), "config", "show"]) == 0
    shown = capsys.readouterr().out
    again = tmp_path / "again.yaml"
    again.write_text(shown)
    assert main(["-c", str(again), "config", "show"]) == 0
    assert capsys.readouterr().out == shown
    assert main(["-c", str(file), "config", "show", "-o", "json"]) == 0
    assert yaml.safe_load(capsys.readouterr().out) == yaml.safe_load(shown)


def test_show_with_origins(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHBOX_LOG_LEVEL", "debug")
    monkeypatch.setenv("MESHBOX_CLI_ADDRESS", "https://elsewhere.example.org")
    assert main(["-c", str(file), "config", "show", "--origin"]) == 0
    shown = capsys.readouterr()
    assert f"# {file}, line 1" in shown.out and "# environment, MESHBOX_LOG_LEVEL" in shown.out
    assert "MESHBOX_CLI" not in shown.err


def test_serve_refuses_a_bad_configuration(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("server_url: 1\n")
    assert main(["serve", "--config", str(file)]) == 10
    assert "server_url" in capsys.readouterr().err


def test_check_reads_the_policy_file_as_well(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD + "policy: {path: acl.hujson}\n")
    policy = file.parent / "acl.hujson"
    assert main(["config", "check", str(file)]) == 10
    assert f"policy.path: {policy}: the policy file is not there" in capsys.readouterr().err
    policy.write_text('{\n  "acls": 7\n}')
    assert main(["config", "check", str(file)]) == 10
    assert "line 2, column 11: acls must be a list" in capsys.readouterr().err
    policy.write_text('{"acls": []}')
    assert main(["config", "check", str(file)]) == 0
