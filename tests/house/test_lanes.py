"""The processes that share the tests: their run is good when each is, and only then."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

RUN = f"""set -eu
say() {{ printf '%s\\n' "$*" >&2; }}
. {ROOT}/scripts/lanes.sh
run_lanes
exit
"""
PYTEST = (
    '#!/bin/sh\necho "header of $*"\ncase "$*" in *"-m {fails}") echo "FAILED tests/x.py"; exit 1;; esac\n'
)


@pytest.mark.parametrize(("fails", "status"), [("nothing", 0), ("older", 1), ("world and not older", 1)])
def test_the_run_is_as_good_as_its_worst_process(tmp_path: Path, fails: str, status: int) -> None:
    """With set -e a trap whose kill found nobody made each good run a failed one."""
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(PYTEST.format(fails=fails))
    python.chmod(0o755)
    ended = subprocess.run(
        ["sh", "-c", RUN], cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == status, ended.stderr
    assert ended.stdout.count("header of -m pytest -m") == 4
    assert ("FAILED tests/x.py" in ended.stdout) is (status == 1)
