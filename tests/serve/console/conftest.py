"""A running server, and an administrator who is signed in to its console."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.api.stand import Stand
from tests.serve.console.visitor import Visitor


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    with Stand(tmp_path) as running:
        yield running


@pytest.fixture
def admin(stand: Stand) -> Visitor:
    visitor = Visitor(stand)
    assert visitor.sign_in().status == 303
    return visitor
