from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Shell

GOOD = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],} // allow all\n'


def test_a_good_policy_is_fine(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "policy.hujson"
    file.write_text(GOOD)
    outcome = shell.type("policy", "check", str(file))
    assert outcome.code == 0 and "is fine" in outcome.err
    assert shell.json("policy", "check", str(file)) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1, column 2"),
        ('{"acls": [{"action": "deny", "src": ["*"], "dst": ["*:*"]}]}', 'action="deny" is not supported'),
        ('{"tests": [{"src": "tag:no", "accept": ["100.64.0.9:22"]}]}', "test(s) failed"),
    ],
)
def test_a_bad_policy_says_what_and_where(shell: Shell, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "policy.hujson"
    file.write_text(text)
    outcome = shell.type("policy", "check", str(file))
    assert outcome.code == 2 and said in outcome.err and "line 1" in outcome.err


def test_a_file_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    outcome = shell.type("policy", "check", str(tmp_path / "none"))
    assert outcome.code == 2 and "cannot read" in outcome.err
