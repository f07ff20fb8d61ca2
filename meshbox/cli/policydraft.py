"""A text in somebody's editor: a private copy that outlives whatever goes wrong with it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

from meshbox.cli.policytext import read_text
from meshbox.errors import MeshboxError, Refused

FIRST = """\
// Who may reach whom. The words are explained in docs/policy.md; this allows everything.
{
    "acls": [
        {"action": "accept", "src": ["*"], "dst": ["*:*"]},
    ],
}
"""
EDITORS = ("sensible-editor", "nano", "vi")


def find_editor() -> list[str]:
    """The command of $VISUAL or $EDITOR, with its options. Raises Refused."""
    for variable in ("VISUAL", "EDITOR"):
        if os.environ.get(variable, "").strip():
            return shlex.split(os.environ[variable])
    for name in EDITORS:
        if shutil.which(name):
            return [name]
    raise Refused("there is no editor: name one in $EDITOR, or use meshbox policy get and set")


class Draft:
    """`original` is what the server has, "" when there is no policy."""

    def __init__(self, editor: list[str], original: str) -> None:
        self._editor = editor
        self.original = original
        self._directory = Path(tempfile.mkdtemp(prefix="meshbox-policy-"))
        is_yaml = original and not original.lstrip("\ufeff \t\r\n").startswith(("{", "/"))
        self.path = self._directory / ("policy.yaml" if is_yaml else "policy.hujson")
        self.path.write_bytes((original or FIRST).encode())

    def open(self) -> str:
        """The text when the editor was left. Raises Refused when it failed."""
        try:
            status = subprocess.call([*self._editor, str(self.path)])
        except OSError as error:
            raise Refused(f"{self._editor[0]} cannot be started: {error.strerror}") from None
        if status != 0:
            raise Refused(f"{self._editor[0]} ended with status {status}; nothing was changed")
        return read_text(self.path)

    def drop(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def keep(self, error: MeshboxError) -> NoReturn:
        """Whatever went wrong, what was typed is not lost: the error says where it is."""
        raise type(error)(f"{error}\nYour text is in {self.path}") from None
