"""Several files are one configuration: the file in /etc, its drop-ins, and who has the last word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from meshbox.config.reading import CONTROL, find_files, load_as
from meshbox.errors import ConfigError


@pytest.fixture
def drop_ins(tmp_path: Path) -> Path:
    directory = tmp_path / "conf.d"
    directory.mkdir()
    return directory


def test_drop_ins_follow_the_file_in_the_order_of_their_names(tmp_path: Path, drop_ins: Path) -> None:
    schema = replace(CONTROL, file=tmp_path / "config.yaml", drop_ins=drop_ins)
    assert find_files(None, {}, schema) == []
    for name in ("50-local.yaml", "10-setup.yaml", ".hidden.yaml", "20-old.yaml.dpkg-old"):
        (drop_ins / name).touch()
    schema.file.touch()
    found = [file.name for file in find_files(None, {}, schema)]
    assert found == ["config.yaml", "10-setup.yaml", "50-local.yaml"]


def test_a_named_file_is_the_only_one(tmp_path: Path, drop_ins: Path) -> None:
    schema = replace(CONTROL, file=tmp_path / "config.yaml", drop_ins=drop_ins)
    (drop_ins / "10-setup.yaml").touch()
    named = tmp_path / "mine.yaml"
    assert find_files(named, {}, schema) == [named]
    assert find_files(None, {"MESHBOX_CONFIG": str(named)}, schema) == [named]


def test_the_last_file_has_the_last_word_key_by_key(drop_ins: Path) -> None:
    first, last = drop_ins / "10-setup.yaml", drop_ins / "50-local.yaml"
    first.write_text("server_url: http://a.example\nlog:\n  level: debug\n  format: json\n")
    last.write_text("log:\n  level: error\n")
    config = load_as(CONTROL, drop_ins, {})
    assert (config.log.level, config.log.format) == ("error", "json")
    assert config.origins["log.level"] == f"{last}, line 2"
    assert config.origins["log.format"] == f"{first}, line 4"
    assert config.source == f"{first}, {last}"


def test_paths_are_relative_to_the_file_that_gives_them(tmp_path: Path, drop_ins: Path) -> None:
    (drop_ins / "10-setup.yaml").write_text("server_url: http://a.example\nstate_dir: state\n")
    (drop_ins / "50-local.yaml").write_text("unix_socket: api.sock\n")
    config = load_as(CONTROL, drop_ins, {})
    assert config.state_dir == drop_ins / "state"
    assert config.unix_socket == drop_ins / "api.sock"


def test_a_fault_names_its_file(drop_ins: Path) -> None:
    (drop_ins / "10-setup.yaml").write_text("server_url: http://a.example\n")
    wrong = drop_ins / "50-local.yaml"
    wrong.write_text("log: {levl: info}\ntaildrop: {enabled: perhaps}\n")
    with pytest.raises(ConfigError) as caught:
        load_as(CONTROL, drop_ins, {})
    told = {problem.path: problem.text for problem in caught.value.problems}
    assert f"({wrong}, line 1)" in told["log.levl"] and f"({wrong}, line 2)" in told["taildrop.enabled"]


def test_a_directory_without_files_is_no_configuration(drop_ins: Path) -> None:
    with pytest.raises(ConfigError, match="directory"):
        load_as(CONTROL, drop_ins, {})
