from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshbox.errors import Invalid
from meshbox.serve.policyfile import FILE_LIMIT, fault_of, read_file


def test_the_text_is_read_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "acl.hujson"
    path.write_bytes(b'{"acls": []}\r\n// end')
    assert read_file(path) == '{"acls": []}\r\n// end' and fault_of(path) == ""


@pytest.mark.parametrize(
    ("text", "fault"),
    [('{\n"acls": 7}', "line 2, column 9: acls must be a list"), ("", "found the end of the text")],
)
def test_a_fault_has_its_place(tmp_path: Path, text: str, fault: str) -> None:
    path = tmp_path / "acl.hujson"
    path.write_text(text)
    assert fault_of(path).startswith(f"{path}: line ") and fault in fault_of(path)
    assert "is not there" in fault_of(tmp_path / "none")


@pytest.mark.parametrize("kind", ["directory", "pipe", "bytes", "large"])
def test_what_is_no_policy_file_is_said_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "acl"
    if kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(b"\xff" if kind == "bytes" else b" " * (FILE_LIMIT + 1))
    with pytest.raises(Invalid, match=r"not a file|not UTF-8|larger than"):
        read_file(path)


def test_a_closed_directory_is_named_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `Path.is_file` says no to what may not be looked at: Python 3.14."""

    def closed(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", closed)
    monkeypatch.setattr(Path, "is_file", lambda self: False)
    with pytest.raises(Invalid, match="cannot be read: Permission denied"):
        read_file(tmp_path / "acl")
