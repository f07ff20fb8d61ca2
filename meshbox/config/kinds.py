"""The kinds of value a key can have: read from YAML or the environment, and written back.

A reader takes what YAML gave (text, number, boolean, list, mapping) and returns the typed value,
or raises ValueError with one clause that says what is wanted and what was found. From the
environment everything is text, so readers of numbers and booleans take text too. What a writer
gives back reads as the same value again: `show` and `sample` rely on it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from meshbox.config.durations import format_duration, parse_duration
from meshbox.secrets import backup_key_text, read_backup_key

STATE_DIR = Path("/var/lib/meshbox")
"""Defaults below this directory follow `state_dir` when that is given."""

CREDENTIALS = Path("/run/credentials")
CREDENTIAL = re.compile(r"^\$(CREDENTIALS_DIRECTORY|\{CREDENTIALS_DIRECTORY\})/")
"""How a path names a credential of the unit (LoadCredential=, systemd.exec(5)), as in Headscale's files."""

T = TypeVar("T")
_TRUE = {"true", "yes", "on", "1"}
_FALSE = {"false", "no", "off", "0"}


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """`settle` places relative paths in a directory; `splits` marks lists, which the environment
    gives separated by white space; `in_environment` is False where one variable cannot say it."""

    name: str
    read: Callable[[object], T]
    write: Callable[[T], object] = str
    settle: Callable[[T, Path], T] | None = None
    splits: bool = False
    in_environment: bool = True


def found(raw: object) -> str:
    """Name a raw value for an error message."""
    match raw:
        case None:
            return "nothing"
        case bool():
            word = "true" if raw else "false"
            return f"{word} (a word like yes, no, on or off that is meant as text needs quotes)"
        case int() | float():
            return f"the number {raw}"
        case str():
            return repr(raw if len(raw) <= 80 else raw[:77] + "...")
        case list():
            return f"a list of {len(raw)}"
        case dict():
            return "a section with keys of its own"
        case _:
            return f"{raw} (put it in quotes)"


def read_text(raw: object) -> str:
    if not isinstance(raw, str):
        raise ValueError(f"wants text, found {found(raw)}")
    return raw.strip()


def whole(low: int, high: int) -> Kind[int]:
    """A whole number from `low` to `high`."""

    def read(raw: object) -> int:
        number = raw
        if isinstance(raw, str) and raw.strip().isascii() and raw.strip().isdecimal():
            number = int(raw)
        if not isinstance(number, int) or isinstance(number, bool):
            raise ValueError(f"wants a whole number, found {found(raw)}")
        if not low <= number <= high:
            raise ValueError(f"wants a number from {low} to {high}, found {number}")
        return number

    return Kind("number", read, write=int)


def choice(*words: str, also: dict[str, str] | None = None) -> Kind[Any]:
    """One of `words`; `also` maps other spellings people know to one of them."""
    spellings = {word: word for word in words} | (also or {})
    wanted = " or ".join(words)

    def read(raw: object) -> str:
        word = raw.strip().lower() if isinstance(raw, str) else ""
        if word not in spellings:
            raise ValueError(f"wants {wanted}, found {found(raw)}")
        return spellings[word]

    return Kind(wanted, read)


def optional(kind: Kind[T]) -> Kind[T | None]:
    """`kind`, where empty text says "none" or "off"."""

    def read(raw: object) -> T | None:
        return None if raw == "" else kind.read(raw)

    def write(value: T | None) -> object:
        return "" if value is None else kind.write(value)

    def settle(value: T | None, base: Path) -> T | None:
        return value if value is None or kind.settle is None else kind.settle(value, base)

    return Kind(kind.name, read, write, settle)


def listed(item: Kind[T]) -> Kind[tuple[T, ...]]:
    """A list of `item`; all its faults are told together."""

    def read(raw: object) -> tuple[T, ...]:
        if not isinstance(raw, list):
            raise ValueError(f"wants a list, found {found(raw)}")
        values: list[T] = []
        faults: list[str] = []
        for position, one in enumerate(raw, start=1):
            try:
                values.append(item.read(one))
            except ValueError as fault:
                faults.append(f"entry {position} {fault}")
        if faults:
            raise ValueError("; ".join(faults))
        return tuple(values)

    def write(values: tuple[T, ...]) -> object:
        return [item.write(one) for one in values]

    def settle(values: tuple[T, ...], base: Path) -> tuple[T, ...]:
        return values if item.settle is None else tuple(item.settle(one, base) for one in values)

    return Kind(f"list of {item.name}", read, write, settle, splits=True, in_environment=item.in_environment)


def _flag(raw: object) -> bool:
    if isinstance(raw, bool):
        return raw
    word = raw.strip().lower() if isinstance(raw, str) else ""
    if word not in _TRUE | _FALSE:
        raise ValueError(f"wants true or false, found {found(raw)}")
    return word in _TRUE


def _duration(raw: object) -> float:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        if raw == 0:
            return 0.0
        raise ValueError(f"wants a duration with its unit, such as {raw}s, found {found(raw)}")
    return parse_duration(read_text(raw))


def _mode(raw: object) -> int:
    # YAML reads an unquoted 0770 as octal already; 770 without the zero is a decimal slip.
    number = raw if isinstance(raw, int) and not isinstance(raw, bool) else -1
    if isinstance(raw, str):
        digits = raw.strip().removeprefix("0o")
        number = int(digits, 8) if digits and set(digits) <= set("01234567") else -1
    if not 0 < number <= 0o777:
        raise ValueError(f'wants a file mode in octal such as "0770", found {found(raw)}')
    return number


def _path(raw: object) -> Path:
    text = read_text(raw)
    if not text or "\0" in text:
        raise ValueError(f"wants the path of a file, found {found(raw)}")
    return Path(CREDENTIAL.sub(_credentials, text))


def _credentials(_: object) -> str:
    """Where systemd lays the credentials of the service; who only reads the configuration is told of the same
    place."""
    return os.environ.get("CREDENTIALS_DIRECTORY", str(CREDENTIALS / "meshbox.service")) + "/"


def _place(value: Path, base: Path) -> Path:
    return base / value


def _backup_recipient(raw: object) -> bytes:
    return read_backup_key(read_text(raw), "pub")


TEXT = Kind("text", read_text)
FLAG = Kind("true or false", _flag, write=bool)
DURATION = Kind("duration", _duration, write=format_duration)
MODE: Kind[int] = Kind("file mode", _mode, write=lambda mode: f"{mode:04o}")
BACKUP_RECIPIENT: Kind[bytes] = Kind(
    "public key", _backup_recipient, write=lambda key: backup_key_text(key, "pub")
)
PATH: Kind[Path] = Kind("path", _path, settle=_place)
