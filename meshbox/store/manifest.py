"""What an archive says of itself: the first member, manifest.json.

`members` are in the archive's order. `path` is where a file belongs, absolute; `owner` and `group` are names,
because numbers differ between machines. What was left out is said, so that nobody finds out too late.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from meshbox.errors import BackupError

NAME = "manifest.json"
FORMAT = 1
MANIFEST_LIMIT = 4 << 20
"""Bytes. A member takes about 250."""

Role = Literal["database", "key", "config", "state", "named"]
"""database; key: the server's identities; config: what was read at start; state: the rest of state_dir;
named: files the configuration points to."""


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    path: str
    role: Role
    size: int
    sha256: str
    mode: int
    owner: str
    group: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`created_at` is unix seconds; `config` names the files of the configuration. `schema` to
    `nodes` are of the database."""

    created_at: float
    host: str
    version: str
    config: str
    state_dir: str
    schema: int
    generation: int | None
    users: int | None
    nodes: int | None
    members: tuple[Member, ...] = ()
    left_out: tuple[LeftOut, ...] = field(default=())

    @property
    def database(self) -> Member:
        return next(member for member in self.members if member.role == "database")

    def label(self) -> dict[str, Any]:
        """What of it may be read without a key: nothing of what is inside but how much."""
        names = ("created_at", "host", "version", "schema", "users", "nodes")
        return {"format": FORMAT, **{name: getattr(self, name) for name in names}}


def write(manifest: Manifest) -> bytes:
    return json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1).encode()


def read(raw: bytes) -> Manifest:
    """Raises BackupError: not ours, of a newer meshbox, or with paths that lead astray."""
    try:
        value = json.loads(raw)
        found = value.pop("format")
        if not isinstance(found, int) or found > FORMAT:
            raise BackupError(
                f"the archive has format {found}, and this meshbox knows {FORMAT}: install a newer one"
            )
        value["members"] = tuple(Member(**one) for one in value["members"])
        value["left_out"] = tuple(LeftOut(**one) for one in value["left_out"])
        manifest = Manifest(**value)
        _check(manifest)
        return manifest
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise BackupError("the archive's manifest is damaged") from None


def _check(manifest: Manifest) -> None:
    kinds: Mapping[str, type] = {"name": str, "path": str, "size": int, "sha256": str, "mode": int}
    for member in manifest.members:
        path = PurePosixPath(member.path)
        if any(not isinstance(getattr(member, name), kind) for name, kind in kinds.items()):
            raise ValueError
        # A restore runs as root and writes where the manifest says.
        if not path.is_absolute() or ".." in path.parts or "\0" in member.path or member.mode & ~0o777:
            raise BackupError(f"the archive wants to write to {member.path!r}, which no backup of ours does")
    names = [member.name for member in manifest.members]
    paths = [member.path for member in manifest.members]
    databases = [member for member in manifest.members if member.role == "database"]
    if len(set(names)) != len(names) or len(set(paths)) != len(paths) or len(databases) != 1:
        raise ValueError
