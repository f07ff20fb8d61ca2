"""Putting restored files where they belong: each whole or not at all, and nothing that was there is lost.

A file that is there with the same content stays as it is. One that differs is kept beside, under its name
and `.replaced-1` (or the next free number), which no program reads as configuration.
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from meshbox.store import archive
from meshbox.store.files import DIRECTORY_MODE, sync
from meshbox.store.manifest import Member


@dataclass(frozen=True, slots=True)
class Place:
    """`source` holds the checked content of `member`, which belongs to `target`."""

    member: Member
    source: Path
    target: Path


def in_the_way(places: Iterable[Place]) -> list[Path]:
    """What is there and differs."""
    return [place.target for place in places if _occupied(place)]


def put(places: Sequence[Place], state_dir: Path) -> list[Path]:
    """Put everything in its place; gives where what was replaced has gone. Raises OSError."""
    replaced = []
    for place in places:
        make_parents(place, state_dir)
        is_taken = place.target.exists() or place.target.is_symlink()
        if is_taken and not _occupied(place):
            continue
        draft = place.target.with_name(place.target.name + ".restored")
        shutil.copyfile(place.source, draft)
        draft.chmod(place.member.mode)
        give(draft, place.member)
        sync(draft)
        if is_taken:
            aside = _aside(place.target)
            os.link(place.target, aside, follow_symlinks=False)
            replaced.append(aside)
        draft.replace(place.target)
        sync(place.target.parent)
    return replaced


def give(path: Path, member: Member) -> None:
    """To whom it belonged, when we may and there is such a user here."""
    if os.geteuid() != 0:
        return
    with suppress(KeyError):
        os.chown(path, pwd.getpwnam(member.owner).pw_uid, -1)
    with suppress(KeyError):
        os.chown(path, -1, grp.getgrnam(member.group).gr_gid)


def make_parents(place: Place, state_dir: Path) -> None:
    """The directories above a file: those of the state private and its owner's."""
    missing = []
    parent = place.target.parent
    while not parent.exists():
        missing.append(parent)
        parent = parent.parent
    for directory in reversed(missing):
        is_private = directory == state_dir or directory.is_relative_to(state_dir)
        directory.mkdir(DIRECTORY_MODE if is_private else 0o755)
        if is_private:
            give(directory, place.member)


def _occupied(place: Place) -> bool:
    if not place.target.exists() and not place.target.is_symlink():
        return False
    if not place.target.is_file():
        return True
    return archive.measure(place.target) != (place.member.size, place.member.sha256)


def _aside(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.replaced-{number}") for number in count(1))
    return next(name for name in names if not name.exists() and not name.is_symlink())
