"""The policy's file: its text as it stands, and what can be said of it without a server."""

from __future__ import annotations

from pathlib import Path

from meshbox.durable import is_there
from meshbox.errors import Invalid
from meshbox.policy.problem import PolicyError
from meshbox.policy.texts import read_kept

FILE_LIMIT = 4 << 20
"""Bytes. A policy has at most 1 MiB of characters (wire/hujson.py)."""


def fault_of(path: Path) -> str:
    """What is wrong with the file by itself; "" when only the tailnet can tell (its users, and its tests)."""
    try:
        read_kept(read_file(path))
    except PolicyError as error:
        return f"{path}: {error.placed}"
    except Invalid as error:
        return str(error)
    return ""


def read_file(path: Path) -> str:
    """The text as it stands, line ends and all. Raises Invalid."""
    try:
        # A pipe given by mistake would never end.
        if not is_there(path) or not path.is_file():
            raise Invalid(f"{path}: the policy file is {'not a file' if path.exists() else 'not there'}")
        with path.open("rb") as file:
            raw = file.read(FILE_LIMIT + 1)
        if len(raw) > FILE_LIMIT:
            raise Invalid(f"{path}: the policy file is larger than {FILE_LIMIT >> 20} MiB")
        return raw.decode()
    except OSError as error:
        raise Invalid(f"{path}: the policy file cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise Invalid(f"{path}: the policy file is not UTF-8 text (byte {error.start})") from None
