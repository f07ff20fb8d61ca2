"""The files that a configuration names: certificates, the policy, password files and the like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from meshbox.config.keys import keys, value_at
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
        # Others' credentials lie in a directory that nobody else may enter.
        with suppress(PermissionError):
            if isinstance(one, Path) and one.is_file():
                yield one
