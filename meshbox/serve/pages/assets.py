"""Style and pictures: read once, served from memory, named by their content.

The name changes with the content, so that a browser may keep a file for ever. Nothing of a request
reaches the file system: an unknown name is simply not in the table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

STATIC = Path(__file__).parent.parent / "static"

TYPES = {"css": "text/css", "svg": "image/svg+xml"}

PREFIX = "/static/"


def _load() -> tuple[Mapping[str, str], Mapping[str, bytes]]:
    names: dict[str, str] = {}
    assets: dict[str, bytes] = {}
    for file in sorted(STATIC.iterdir()):
        if file.suffix.removeprefix(".") not in TYPES:
            continue
        body = file.read_bytes()
        names[file.name] = f"{file.stem}.{hashlib.sha256(body).hexdigest()[:16]}{file.suffix}"
        assets[names[file.name]] = body
    return names, assets


NAMES, ASSETS = _load()


def address_of(name: str) -> str:
    """The path of `app.css` as pages link to it."""
    return PREFIX + NAMES[name]
