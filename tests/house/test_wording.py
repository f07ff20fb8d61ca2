"""What must not be in any file: paths of one machine, notes to self, white space nobody sees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.house.tree import ROOT

# Put together here so that this file does not find itself.
MACHINE_PATHS = re.compile(
    "|".join([r"(?<![\w./])/wo" + r"rk/", r"(?<![\w./])/ro" + r"ot/(?!\.ssh)", r"/tmp/te" + r"am"])
)
NOTES = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
LEFT_OUT = {
    ".git",
    ".venv",
    ".cache",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    ".hypothesis",
}


def files() -> list[Path]:
    """What is (or would be) in the repository; in an unpacked archive, everything that is text."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
        found = [ROOT / name for name in listed.split("\0") if name]
    except (FileNotFoundError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if not LEFT_OUT & set(path.relative_to(ROOT).parts)]
    return [path for path in found if path.is_file()]


def texts() -> list[tuple[Path, str]]:
    result = []
    for path in files():
        raw = path.read_bytes()
        if b"\0" not in raw:
            result.append((path.relative_to(ROOT), raw.decode(errors="replace")))
    return result


@pytest.mark.parametrize("pattern", [MACHINE_PATHS, NOTES], ids=["paths of one machine", "notes to self"])
def test_no_file_has(pattern: re.Pattern[str]) -> None:
    wrong = [
        f"{path}:{number}: {line.strip()[:100]}"
        for path, text in texts()
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]
    assert not wrong, "\n".join(wrong)


def test_files_end_with_one_line_end_and_lines_with_none_hidden() -> None:
    wrong = [
        str(path)
        for path, text in texts()
        if path.suffix in (".py", ".md", ".cfg", ".toml", ".yml", ".yaml", ".sh") and text
        if not text.endswith("\n")
        or text.endswith("\n\n")
        or re.search(r"[ \t]+$", text, re.MULTILINE)
        or "\r" in text
    ]
    assert not wrong, wrong
