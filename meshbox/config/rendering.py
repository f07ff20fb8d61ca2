"""The configuration as text: the sample file, and what is in force with its origin."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping

from meshbox.config.keys import Key, keys, members, value_at
from meshbox.config.schema import Config

WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z/][A-Za-z0-9_./-]*(?:://[A-Za-z0-9_./:-]*[A-Za-z0-9/])?")
_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


def scalar(value: object) -> str:
    """A raw value as YAML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list():
            return "[" + ", ".join(scalar(one) for one in value) + "]"
        case dict():
            return "{" + ", ".join(f"{scalar(name)}: {scalar(one)}" for name, one in value.items()) + "}"
        case _:
            text = str(value)
            plain = _PLAIN.fullmatch(text) and text.lower() not in _WORDS
            return text if plain else json.dumps(text)


def default_text(key: Key) -> str:
    return scalar(key.kind.write(key.default))


def show(config: object, origins: Mapping[str, str] | None = None) -> str:
    """What is in force, as a file that loads to the same. With `origins` (Config.origins) each
    line says where its value came from."""

    def line(key: Key, name: str, indent: str) -> Iterator[str]:
        text = f"{indent}{name}: {scalar(key.kind.write(value_at(config, key.path)))}"
        yield text if origins is None else f"{text:<59} # {origins.get(key.path, 'default')}"

    return "\n".join(_walk(line, type(config))) + "\n"


def sample(cls: type = Config) -> str:
    """A commented file with every key. Only what must be set is set; the rest shows its default,
    so that a later version's better default takes effect."""

    def lines(key: Key, name: str, indent: str) -> Iterator[str]:
        yield ""
        yield from textwrap.wrap(
            key.help, WIDTH - len(indent), initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
        )
        if key.path == "server_url":
            yield f"{name}: {key.example}"
            return
        if key.example:
            yield f"{indent}# Example: {key.example}"
        yield f"{indent}#{name}: {default_text(key)}"

    head = [
        "# The configuration of meshbox. Every key, with its default; docs/config.md has the same as a table."
    ]
    return "\n".join([*head, *_walk(lines, cls, headed=True)]) + "\n"


def _walk(
    line: Callable[[Key, str, str], Iterator[str]],
    cls: type,
    prefix: str = "",
    *,
    headed: bool = False,
) -> Iterator[str]:
    leaves = {key.path: key for key in keys(cls, prefix)}
    indent = "  " * prefix.count(".")
    for _, path, one in members(cls, prefix):
        name = path.rpartition(".")[2]
        if path in leaves:
            yield from line(leaves[path], name, indent)
            continue
        if headed:
            yield ""
            yield f"{indent}# {one.metadata['help']}"
        yield f"{indent}{name}:"
        yield from _walk(line, one.metadata["section"], path + ".", headed=headed)
