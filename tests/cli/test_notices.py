from __future__ import annotations

import pytest

from tests.cli.conftest import Shell


def test_set_list_and_delete(shell: Shell) -> None:
    said = shell.type(
        "notices",
        "set",
        "move",
        "We move",
        "--text",
        "On Friday.",
        "--link",
        "https://wiki.test",
        "--for",
        "user:ana",
    )
    assert (said.code, said.err) == (0, "notice move is shown now\n")
    (notice,) = shell.json("notices", "list")
    assert (notice["title"], notice["severity"], notice["label"], notice["targets"]) == (
        "We move",
        "medium",
        "Open",
        ["user:ana"],
    )
    shell.type("notices", "set", "move", "We moved", "--severity", "low")
    assert shell.type("notices", "list", "--columns", "name,severity,title,for").lines[1:] == [
        "move\tlow\tWe moved\teverybody"
    ]
    assert shell.type("notices", "delete", "move").err == "notice move is no longer shown\n"
    assert shell.json("notices", "list") == []


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("set", "Bad Name", "x"), 2),
        (("set", "x", ""), 2),
        (("set", "x", "y", "--link", "ftp://z"), 2),
        (("set", "x", "y", "--severity", "urgent"), 2),
        (("set", "x", "y", "--for", "ana"), 2),
        (("delete", "x"), 3),
    ],
)
def test_what_cannot_be_shown(shell: Shell, words: tuple[str, ...], code: int) -> None:
    outcome = shell.type("notices", *words)
    assert outcome.code == code and len(outcome.err.splitlines()) == 1
    assert shell.json("notices", "list") == []
