"""How a dataclass is a section of the configuration: its fields are keys or inner sections.

`key` and `section` declare them; `keys` lists them by dotted path; `build` and `value_at` go
between paths and dataclasses. Nothing here knows a single key by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from meshbox.config.kinds import Kind

T = TypeVar("T")


def key(kind: Kind[T], default: T, help: str, *, example: str = "") -> T:
    """A key of the file. `example` is shown in the sample where the default says too little."""
    metadata = {"kind": kind, "help": help, "example": example}
    return field(default=default, metadata=metadata)


def section(cls: type[T], help: str) -> T:
    return field(default_factory=cls, metadata={"section": cls, "help": help})


@dataclass(frozen=True, slots=True)
class Key:
    """One leaf of the schema. `path` is dotted, as in messages and on the command line."""

    path: str
    kind: Kind[Any]
    default: Any
    help: str
    example: str


def yaml_name(attribute: str) -> str:
    return attribute.removesuffix("_")


def members(cls: type, prefix: str = "") -> Iterator[tuple[str, str, dataclasses.Field[Any]]]:
    """The keys and sections of one section: (attribute, dotted path, field)."""
    for one in dataclasses.fields(cls):
        if one.metadata:
            yield one.name, prefix + yaml_name(one.name), one


def keys(cls: type, prefix: str = "") -> Iterator[Key]:
    """Every key, depth first, in the order of the file."""
    for _, path, one in members(cls, prefix):
        if "section" in one.metadata:
            yield from keys(one.metadata["section"], path + ".")
        else:
            meta = one.metadata
            yield Key(path, meta["kind"], one.default, meta["help"], meta["example"])


def build(cls: type[T], values: Mapping[str, object], prefix: str = "", **rest: object) -> T:
    """Put values by dotted path into the dataclasses."""
    arguments: dict[str, object] = dict(rest)
    for name, path, one in members(cls, prefix):
        inner = one.metadata.get("section")
        arguments[name] = values[path] if inner is None else build(inner, values, path + ".")
    return cls(**arguments)


def value_at(config: object, path: str) -> Any:
    """The value of a key by its dotted path."""
    value: Any = config
    for part in path.split("."):
        value = getattr(value, part if part != "global" else "global_")
    return value
