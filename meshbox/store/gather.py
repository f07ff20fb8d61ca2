"""Which files belong into a backup: everything a server needs to be the same one again.

Besides the database: its private keys, the configuration, every file the configuration names (certificates,
relay maps, the policy, passwords of other services) and whatever else lies in the state directory. What is
not known by name is taken rather than left: a new feature must not need to be remembered here.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from meshbox.config import Config
from meshbox.config.keys import value_at
from meshbox.config.named import named_files
from meshbox.durable import is_there
from meshbox.store.manifest import LeftOut, Role

FILE_LIMIT = 16 << 20
TOTAL_LIMIT = 256 << 20
"""Bytes of one file and of all together, without the database. Keys and certificates are small; what is
larger (a log, a core dump) is left out, and that is said."""

FILES_LIMIT = 10_000

ALL_BELOW = Path("/etc/meshbox")
"""All of this directory is configuration, when the configuration is read from there."""

STATUS_NAME = "backup-status.json"
"""How the last backup went (serve/backup/status.py): a fact about this machine, not about the tailnet."""

FLEETING = (".new", ".draft", ".lock", ".part")
"""Ends of names of what is being written, or only locked."""

KEYS = ("noise.private_key_path", "derp.server.private_key_path")


@dataclass(frozen=True, slots=True)
class Found:
    path: Path
    role: Role


def gather(config: Config, read: Iterable[Path]) -> tuple[list[Found], list[LeftOut]]:
    """All but the database, each file once. `read` are the files of the configuration."""
    found: dict[Path, Found] = {}
    left_out: list[LeftOut] = []
    total = 0
    for one in _candidates(config, read):
        path = one.path
        try:
            kind = path.stat()
        except OSError as error:
            if path not in found and one.role != "named":
                left_out.append(LeftOut(str(path), error.strerror or str(error)))
            continue
        if path in found or not stat.S_ISREG(kind.st_mode):
            continue
        if kind.st_size > FILE_LIMIT or total + kind.st_size > TOTAL_LIMIT or len(found) >= FILES_LIMIT:
            left_out.append(LeftOut(str(path), f"too large: {kind.st_size} bytes"))
            continue
        total += kind.st_size
        found[path] = one
    return list(found.values()), left_out


def _candidates(config: Config, read: Iterable[Path]) -> Iterator[Found]:
    for name in KEYS:
        path: Path = value_at(config, name)
        if is_there(path):
            yield Found(path.absolute(), "key")
    yield from _configuration([file.absolute() for file in read])
    yield from (Found(path.absolute(), "named") for _, path in named_files(config))
    yield from _state(config)


def _configuration(read: Sequence[Path]) -> Iterator[Found]:
    """What was read; and all of /etc/meshbox when it was read there, for the relay's part and whatever else
    an administrator keeps beside."""
    yield from (Found(file, "config") for file in read)
    if any(file.is_relative_to(ALL_BELOW) for file in read):
        yield from (Found(path, "config") for path in sorted(ALL_BELOW.rglob("*")) if path.is_file())


def _state(config: Config) -> Iterator[Found]:
    database, backups = config.database.sqlite.path, config.backup.directory
    for path in sorted(config.state_dir.absolute().rglob("*")):
        is_database = path.parent == database.parent and path.name.startswith(database.name)
        is_fleeting = path.name.endswith(FLEETING) or path.name == STATUS_NAME
        if path.is_file() and not is_database and not is_fleeting and not path.is_relative_to(backups):
            yield Found(path, "state")
