"""The Vagrantfile is run by no test: it must at least name a playbook and variables that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "Vagrantfile").read_text()


def test_its_playbook_and_configuration_exist() -> None:
    named = re.findall(r'ansible\.(?:playbook|config_file) = "([^"]+)"', TEXT)
    assert len(named) == 2
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_each_variable_is_one_of_a_role() -> None:
    given = set(re.findall(r"^ +([a-z]+_\w+): ", TEXT, re.MULTILINE))
    defaults = (ROOT / "ansible" / "roles").glob("*/defaults/main.yml")
    known = {name for file in defaults for name in re.findall(r"^(\w+):", file.read_text(), re.MULTILINE)}
    assert "meshbox_domain" in given
    assert given - known == set()
