"""A store of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from meshbox import store
from meshbox.store.store import SqliteStore
from tests.store.samples import START


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mesh.sqlite"


@pytest.fixture
def kept(path: Path) -> Iterator[SqliteStore]:
    opened = store.open(path, START)
    yield opened
    opened.close()
