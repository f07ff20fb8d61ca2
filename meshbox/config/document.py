"""A YAML file as plain values, with the line of every key and the keys written twice.

PyYAML takes the last of two equal keys without a word, so half of somebody's settings would
vanish; here that is a problem with both lines named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshbox.errors import Problem

if TYPE_CHECKING:
    import yaml

MAX_FILE = 1 << 20
"""Bytes. A configuration has a few kilobytes; somebody who names a disk image learns it at once."""


@dataclass(frozen=True, slots=True)
class Document:
    """`lines` maps dotted paths to line numbers, from 1."""

    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_document(path: Path) -> Document:
    """Read and parse a file; whatever is wrong with it is in `problems`."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_FILE + 1)
    except OSError as error:
        return _unusable(path, f"cannot be read: {error.strerror}")
    if len(raw) > MAX_FILE:
        return _unusable(path, f"is larger than {MAX_FILE >> 20} MiB; is it the right file?")
    return parse_document(raw, path)


def parse_document(raw: bytes, path: Path) -> Document:
    # Imported here because the command line starts without it when there is no file.
    import yaml

    try:
        loader = yaml.SafeLoader(raw)
        node = loader.get_single_node()
        if node is None:
            return Document()
        if not isinstance(node, yaml.MappingNode):
            return _unusable(path, "wants keys with values at its top, such as server_url: https://...")
        seen = list(_entries(node, ""))
        values = loader.construct_document(node)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        return _unusable(path, f"is not YAML: {_in_one_line(error)}")
    lines: dict[str, int] = {}
    problems = []
    for dotted, line in seen:
        if dotted in lines:
            problems.append(Problem(dotted, f"is given twice, in lines {lines[dotted]} and {line}; keep one"))
        lines[dotted] = line
    return Document(values, lines, tuple(problems))


def _entries(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        dotted = f"{prefix}{printable(key.value)}"
        yield dotted, key.start_mark.line + 1
        if value.id == "mapping":
            yield from _entries(value, dotted + ".")


def printable(name: object) -> str:
    """A key's name as it can stand in a message: one with a line end in it is quoted."""
    return name if isinstance(name, str) and name.isprintable() else repr(name)


def _unusable(path: Path, text: str) -> Document:
    return Document(problems=(Problem(str(path), text),))


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())
