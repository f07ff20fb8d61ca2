"""`make bench` is a command that the README names: with a small tailnet it prints all its tables."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TABLES = (
    "Maps without sockets", "Policy of 300 rules", "Questions about a policy of 300 rules",
    "A server with 20 fake clients",
)  # fmt: skip


@pytest.mark.slow
def test_all_figures_are_printed() -> None:
    words = [sys.executable, "-m", "tests.bench", "20"]
    said = subprocess.run(words, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=240)
    assert said.returncode == 0, said.stderr
    for table in TABLES:
        assert f"\n{table}" in said.stdout, said.stdout
