"""`meshbox policy` typed at a server: in and out verbatim, refusals, answers and their exit codes."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from meshbox.config import Policy
from meshbox.tailnet import devices
from tests.cli.conftest import Shell
from tests.serve.api.stand import Stand
from tests.tailnet.build import join, make_key

GOOD = '{"acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],} // allow all\r\n'
CLOSED = '{"acls": [], "tagOwners": {"tag:web": []}}\n'
WEB = """\
tagOwners: {"tag:web": []}
acls:
  - {action: accept, src: ["ana@"], dst: ["tag:web:443"]}  # the only way in
tests:
  - {src: "ana@", accept: ["tag:web:443"]}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.hujson"
    path.write_bytes(GOOD.encode())
    return path


def crowd(shell: Shell) -> None:
    def fill(t: Any) -> None:
        join(t, 1, make_key(t, "ana"), "laptop")
        join(t, 2, make_key(t, "ben"), "desk")
        server = join(t, 3, make_key(t, "ana"), "web1")
        devices.set_tags(t, server.id, ["tag:web"], "test", shell.stand.now)

    shell.stand.do(fill)


def test_a_good_policy_is_fine(shell: Shell, file: Path) -> None:
    outcome = shell.type("policy", "check", str(file))
    assert outcome.code == 0 and "is fine" in outcome.err
    assert shell.json("policy", "check", str(file)) == {}
    outcome = shell.type("policy", "set", "--check-only", "-f", str(file))
    assert outcome.code == 0 and shell.json("policy", "get")["version"] == "0"


@pytest.mark.parametrize("command", ["check", "set", "test"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "line 1, column 2"),
        ('{"acls": [{"action": "deny", "src": ["*"], "dst": ["*:*"]}]}', 'action="deny" is not supported'),
    ],
)
def test_a_bad_policy_says_what_and_where(
    shell: Shell, tmp_path: Path, command: str, text: str, said: str
) -> None:
    file = tmp_path / "policy.hujson"
    file.write_text(text)
    outcome = shell.type("policy", command, str(file))
    assert outcome.code == 2 and said in outcome.err and "line 1" in outcome.err
    assert shell.json("policy", "history") == []


def test_a_policy_whose_tests_fail_is_refused(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "policy.hujson"
    file.write_text('{"tests": [{"src": "tag:no", "accept": ["100.64.0.9:22"]}]}')
    outcome = shell.type("policy", "set", str(file))
    assert outcome.code == 2 and "test(s) failed" in outcome.err and "test of tag:no" in outcome.err


def test_a_file_that_is_not_there(shell: Shell, tmp_path: Path) -> None:
    outcome = shell.type("policy", "check", str(tmp_path / "none"))
    assert outcome.code == 2 and "cannot read" in outcome.err


def test_what_is_set_is_got_verbatim(shell: Shell, file: Path) -> None:
    def run(*words: str, given: bytes = b"") -> tuple[bytes, bytes]:
        command = [sys.executable, "-m", "meshbox.cli", "-c", str(shell.file), "policy", *words]
        done = subprocess.run(command, input=given, capture_output=True, check=True)
        return done.stdout, done.stderr

    out, err = run("get")
    assert out == b"" and b"there is no policy" in err
    assert b"version 1 of the policy is in force" in run("set", str(file), "--note", "first")[1]
    assert run("get")[0] == GOOD.encode()
    run("set", "-", given=CLOSED.encode())
    assert run("get")[0] == CLOSED.encode()
    assert run("get", "--version", "1")[0] == GOOD.encode()


def test_history_and_restore(shell: Shell, file: Path, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.write_text(CLOSED)
    shell.type("policy", "set", str(file), "--note", "everything")
    shell.type("policy", "set", str(closed))
    listed = shell.type("policy", "history", "-o", "tsv").lines
    assert listed[0] == "version\tcreated\tby\tsize\tnote"
    assert listed[1].startswith("2\t") and listed[2].endswith(f"\t{len(GOOD)}\teverything")
    outcome = shell.type("policy", "restore", "1")
    assert outcome.code == 4 and "add --yes" in outcome.err and "gain access" not in outcome.out
    crowd(shell)
    outcome = shell.type("policy", "restore", "1", "--yes")
    assert outcome.code == 0 and "6 pairs gain access" in outcome.err and "version 3" in outcome.err
    assert shell.json("policy", "get")["note"] == "version 1 again"
    assert shell.type("policy", "restore", "9", "--yes").code == 3


def test_a_change_from_an_older_version_is_a_conflict(shell: Shell, file: Path) -> None:
    assert shell.type("policy", "set", str(file), "--expect", "0").code == 0
    file.write_text(CLOSED)
    outcome = shell.type("policy", "set", str(file), "--expect", "0")
    assert outcome.code == 5 and "at version 1" in outcome.err
    assert shell.json("policy", "set", str(file), "--expect", "1")["version"] == "2"


def test_each_test_is_told_of(shell: Shell, tmp_path: Path) -> None:
    crowd(shell)
    file = tmp_path / "policy.yaml"
    file.write_text(WEB)
    outcome = shell.type("policy", "test", str(file))
    assert outcome.code == 0
    assert outcome.lines == ["ok      line 5: ana@: accept tag:web:443", "1 of 1 tests hold"]
    file.write_text(WEB.replace("443", "80", 1))
    outcome = shell.type("policy", "test", str(file))
    assert outcome.code == 1 and outcome.lines[0].startswith("FAILED") and "want: Accept" in outcome.lines[1]
    assert shell.type("policy", "test").lines == ["the policy has no tests"]


def test_the_difference_is_shown_before_anything_is_applied(shell: Shell, tmp_path: Path) -> None:
    crowd(shell)
    file = tmp_path / "policy.yaml"
    file.write_text(WEB)
    outcome = shell.type("policy", "diff", str(file), "--exit-code")
    assert outcome.code == 1
    assert outcome.lines[0] == "6 pairs lose access:"
    assert any(
        " ".join(line.split()) == "- ana to tag:web 0-442,444-65535 1 pair as laptop to web1"
        for line in outcome.lines
    )
    assert shell.type("policy", "diff", str(file), "-n", "2").lines[-1].endswith("more rows (-n shows more)")
    shell.type("policy", "set", str(file))
    outcome = shell.type("policy", "diff", str(file), "--exit-code")
    assert (outcome.code, outcome.lines) == (0, ["nobody loses or gains access"])
    assert shell.json("policy", "diff", "--from", "1", "--to", "1")["lost"]["pairs"] == 0


def test_explanations(shell: Shell, tmp_path: Path) -> None:
    crowd(shell)
    outcome = shell.type("policy", "explain", "laptop", "desk:22")
    assert outcome.code == 0 and outcome.lines == [
        "yes: laptop reaches desk:22",
        "  there are neither acls nor grants, so everything is allowed",
    ]
    file = tmp_path / "policy.yaml"
    file.write_text(WEB)
    shell.type("policy", "set", str(file))
    outcome = shell.type("policy", "explain", "laptop", "web1:443")
    assert outcome.code == 0 and outcome.lines == [
        "yes: laptop reaches web1:443",
        "  version 1, line 3, acls[0]:",
        '    {"action": "accept", "src": ["ana@"], "dst": ["tag:web:443"]}',
    ]
    outcome = shell.type("policy", "explain", "desk", "web1:443")
    assert outcome.code == 1 and outcome.lines == ["no: desk does not reach web1:443; no rule allows it"]
    outcome = shell.type("policy", "explain", "autogroup:member", "tag:web:443")
    assert outcome.code == 1
    assert (
        outcome.lines[0] == "partly: autogroup:member reaches tag:web:443 in 1 of 2 pairs; not desk to web1"
    )
    file.write_text(GOOD)
    outcome = shell.type("policy", "explain", "desk", "web1:443", "-f", str(file))
    assert outcome.code == 0 and f"{file}, line 1" in outcome.out
    assert shell.type("policy", "explain", "nobody", "web1:443").code == 3
    assert shell.type("policy", "explain", "laptop", "web1").code == 2
    assert shell.json("policy", "explain", "laptop", "web1:443")["rules"][0]["line"] == 3


def editor(monkeypatch: pytest.MonkeyPatch, directory: Path, *texts: str) -> Path:
    """An editor that types these texts, one each time it is opened; the last for ever."""
    log = directory / "opened"
    for number, text in enumerate(texts):
        (directory / f"text{number}").write_bytes(text.encode())
    script = directory / "editor"
    script.write_text(
        f"""#!{sys.executable}
import pathlib, sys
here = pathlib.Path({str(directory)!r})
log = here / "opened"
count = len(log.read_text().splitlines()) if log.exists() else 0
with log.open("a") as file:
    file.write(sys.argv[-1] + "\\n")
source = here / f"text{{min(count, {len(texts) - 1})}}"
pathlib.Path(sys.argv[-1]).write_bytes(source.read_bytes())
"""
    )
    script.chmod(0o700)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{script} --wait")
    return log


def test_edit_checks_shows_asks_and_sets(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd(shell)
    log = editor(monkeypatch, tmp_path, WEB)
    outcome = shell.type("policy", "edit", "--yes", "--note", "tighter")
    assert outcome.code == 0 and "6 pairs lose access" in outcome.err and "version 1" in outcome.err
    found = shell.json("policy", "get")
    assert (found["policy"], found["note"]) == (WEB, "tighter")
    assert not Path(log.read_text().strip()).exists()
    outcome = shell.type("policy", "edit", "--yes")
    assert outcome.code == 0 and "nothing was changed" in outcome.err
    assert log.read_text().splitlines()[1].endswith("policy.yaml")


def test_a_refused_text_is_shown_and_edited_again(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = editor(monkeypatch, tmp_path, "{", CLOSED)
    keyboard = io.StringIO()
    monkeypatch.setattr(keyboard, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdin", keyboard)
    asked: list[str] = []

    def agree(question: str, **_: object) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(click, "confirm", agree)
    outcome = shell.type("policy", "edit")
    assert outcome.code == 0 and "line 1, column 2" in outcome.err
    assert asked == ["Edit it again?", "Put this policy in force?"]
    assert len(log.read_text().splitlines()) == 2 and shell.json("policy", "get")["policy"] == CLOSED


def test_an_edit_never_overwrites_what_somebody_else_did_and_loses_nothing(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = editor(monkeypatch, tmp_path, CLOSED)
    script = tmp_path / "editor"
    other = tmp_path / "other"
    other.write_text(GOOD)
    command = [sys.executable, "-m", "meshbox.cli", "-c", str(shell.file), "policy", "set", str(other)]
    script.write_text(script.read_text() + f"import subprocess; subprocess.check_call({command!r})\n")
    outcome = shell.type("policy", "edit", "--yes")
    assert outcome.code == 5 and "changed meanwhile" in outcome.err and "Your text is in" in outcome.err
    draft = Path(log.read_text().strip())
    assert draft.read_text() == CLOSED and str(draft) in outcome.err
    assert stat.S_IMODE(draft.parent.stat().st_mode) == 0o700
    assert json.loads(shell.type("policy", "get", "-o", "json").out)["version"] == "1"


@pytest.mark.parametrize("command", ["/nonexistent/editor", "false"])
def test_an_editor_that_fails_changes_nothing(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("VISUAL", command)
    outcome = shell.type("policy", "edit", "--yes")
    assert outcome.code == 4 and command in outcome.err


def test_in_file_mode_the_way_out_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "acl.hujson"
    source.write_text(CLOSED)
    config = tmp_path / "config.yaml"
    config.write_text("server_url: https://mesh.example.org\nunix_socket: api.sock\n")
    log = editor(monkeypatch, tmp_path, GOOD)
    with Stand(tmp_path, policy=Policy(path=source)) as stand:
        shell = Shell(stand, config, capsys)
        for words in (["set", str(source)], ["edit", "--yes"], ["restore", "1", "--yes"]):
            outcome = shell.type("policy", *words)
            assert outcome.code == 4 and str(source) in outcome.err and "reload" in outcome.err, words
        assert not log.exists()
        crowd(shell)
        assert shell.type("policy", "explain", "laptop", "desk:1").lines == [
            "no: laptop does not reach desk:1; no rule allows it"
        ]
        source.write_text("{")
        status = shell.json("status")
        assert (status["policy"], status["policyProblem"]) == ("version 1", "")
