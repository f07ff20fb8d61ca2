"""Every key of the configuration is explained where it is defined, and does something."""

from __future__ import annotations

import ast

import pytest

from meshbox.config import Config
from meshbox.config.keys import Key, keys
from meshbox.config.legacy import IGNORED, REFUSED
from meshbox.config.reading import load
from meshbox.config.relay import RelayConfig
from meshbox.errors import ConfigError
from tests.house.tree import modules

KEYS = [*keys(Config), *keys(RelayConfig)]
READ_BY_RULES_ONLY = {
    "database.type": "one kind of database so far; others are refused",
    "policy.mode": "no policy engine yet; anything else is refused",
    "admission.open_to_everybody": "a yes that the rules of a relay want",
    "policy.path": "no policy engine yet; a path is refused",
}
"""Keys that `config.rules` answers, and nothing else has to look at."""


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.path)
def test_a_key_says_what_it_means(key: Key) -> None:
    assert key.help.endswith((".", "`")) and len(key.help) > 15
    assert key.help[0].isupper()


def test_every_key_is_read_by_somebody() -> None:
    read = {
        node.attr
        for module in modules()
        if not module.name.startswith("config/")
        for node in ast.walk(module.syntax)
        if isinstance(node, ast.Attribute)
    }
    names = {key.path: key.path.rpartition(".")[2] for key in KEYS}
    idle = {path for path, name in names.items() if name not in read and f"{name}_" not in read}
    assert idle <= set(READ_BY_RULES_ONLY), sorted(idle - set(READ_BY_RULES_ONLY))


def test_no_legacy_key_is_one_of_ours() -> None:
    ours = {key.path for key in keys(Config)}
    assert not ours & (set(IGNORED) | set(REFUSED))


def test_every_refusal_and_warning_is_reached(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("legacy") / "config.yaml"
    for path in (*REFUSED, *IGNORED):
        *sections, name = path.split(".")
        text = "".join(f"{'  ' * depth}{section}:\n" for depth, section in enumerate(sections))
        file.write_text(f"server_url: https://mesh.example.com\n{text}{'  ' * len(sections)}{name}: given\n")
        if path in REFUSED:
            with pytest.raises(ConfigError) as caught:
                load(file, {})
            assert [problem.path for problem in caught.value.problems] == [path]
        else:
            assert [warning.path for warning in load(file, {}).warnings] == [path]
