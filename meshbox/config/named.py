"""The files that a configuration names: certificates, the policy, password files and the like."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from meshbox.config.keys import keys, value_at
from meshbox.config.kinds import CREDENTIALS
from meshbox.config.schema import Config

NOT_FILES = ("unix_socket", "state_dir", "database.sqlite.path", "backup.directory", "http.webroot")
"""Paths to directories, and to what the server makes by itself."""


def named_files(config: Config) -> Iterator[tuple[str, Path]]:
    """(dotted key, file) of each that is there, as far as this process can see."""
    for key in keys(Config):
        if key.path not in NOT_FILES:
            yield from ((key.path, path) for path in _paths(value_at(config, key.path)))


def _paths(value: object) -> Iterator[Path]:
    """The paths a key's value consists of, if it does."""
    for one in value if isinstance(value, tuple) else (value,):
        # Credentials are systemd's: shown to the service alone, and not to be copied from there or back.
        if isinstance(one, Path) and not one.is_relative_to(CREDENTIALS) and _is_there(one):
            yield one


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except PermissionError:
        return False
