"""`meshbox events` and `journalctl -x` on a real journal."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from meshbox.cli import journal
from meshbox.cli.journal import Wish
from meshbox.log import message_id
from tests.cli.journald import JOURNALD, inside
from tests.fake.server import write_config

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Wish(), []),
        (Wish(count=5, follow=True), ["--lines=5", "--follow"]),
        (
            Wish(node="laptop", user="ana", events=("audited", "reloaded"), since=1.7e9),
            ["MESHBOX_EVENT=audited", "MESHBOX_EVENT=reloaded", "MESHBOX_NODE=laptop", "MESHBOX_USER=ana",
             "--since=@1700000000"],
        ),
    ],
)  # fmt: skip
def test_what_journalctl_is_asked(wish: Wish, words: list[str]) -> None:
    assert journal.command(wish) == ["journalctl", "-t", "meshbox", *words]


def entry(**more: Any) -> str:
    known = {"__REALTIME_TIMESTAMP": "1700000000500000", "PRIORITY": "4", "MESSAGE": "odd"}
    return json.dumps({**known, "MESHBOX_EVENT": "library_warning", **more})


def test_an_entry_becomes_an_event() -> None:
    assert journal.from_entry(
        entry(MESHBOX_NODE="laptop", _PID="7", MESHBOX_ERR=None, MESHBOX_X=["a", "b"])
    ) == {
        "time": "2023-11-14T22:13:20Z",
        "level": "warning",
        "event": "library_warning",
        "message": "odd",
        "fields": {"node": "laptop"},
    }


@pytest.mark.parametrize("line", ["", "{", "[]", "{}", '{"MESSAGE": "not ours"}', entry(MESHBOX_EVENT=["a"])])
def test_what_is_none_of_ours_is_passed_over(line: str) -> None:
    assert journal.from_entry(line) is None


def test_without_journalctl_there_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert not journal.has_any()


SCRIPT = """
set -e
meshbox() { "$PYTHON" -m meshbox.cli -c "$DIRECTORY/config.yaml" "$@"; }
meshbox users create ana --quiet
meshbox preauthkeys create --user ana --quiet > /dev/null
sleep 1
echo "== all"; meshbox events -o json-line
echo "== one"; meshbox events --event audited --user ana -o json-line 2>&1
echo "== server"; meshbox events --source server --event audited --user ana -o json-line
echo "== follow"
timeout 2 "$PYTHON" -m meshbox.cli -c "$DIRECTORY/config.yaml" events -f -n 1 -o json -q || true
echo "== explained"; journalctl -x -t meshbox --no-pager MESHBOX_EVENT=server_started
echo "== ids"; journalctl -t meshbox --no-pager -o json MESHBOX_EVENT=audited
"""


@pytest.mark.root
@pytest.mark.slow
@pytest.mark.skipif(not Path(JOURNALD).exists(), reason="there is no journald on this machine")
@pytest.mark.skipif(not importlib.util.find_spec("systemd"), reason="systemd-python is not built here")
def test_a_real_journal(tmp_path: Path) -> None:
    write_config(tmp_path, log={"level": "info"}, metrics_listen_addr="")
    script = f"PYTHON={sys.executable}; DIRECTORY={tmp_path}\n{SCRIPT}"
    done = subprocess.run(
        inside(tmp_path, "sh", "-c", script),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = dict(part.split("\n", 1) for part in done.stdout.split("== ")[1:])
    everything = json.loads(parts["all"])
    assert [event["event"] for event in everything if event["event"] != "config_warning"] == [
        "server_started", "audited", "audited",
    ]  # fmt: skip
    said, _, one = parts["one"].partition("\n")
    assert said == "from: journalctl -t meshbox MESHBOX_EVENT=audited MESHBOX_USER=ana --lines=100"
    [from_journal], [from_server] = json.loads(one), json.loads(parts["server"])
    assert from_journal["fields"]["action"] == "user.create"
    del from_server["number"]
    from_server["fields"] = {name: value for name, value in from_server["fields"].items() if value != ""}
    assert from_journal == {**from_server, "fields": dict(sorted(from_server["fields"].items()))}
    assert json.loads(parts["follow"].splitlines()[0])["fields"]["action"] == "auth_key.create"
    assert "The server is ready." in parts["explained"]
    assert "journalctl -t meshbox MESHBOX_EVENT=server_started" in parts["explained"]
    entries = [json.loads(line) for line in parts["ids"].splitlines()]
    assert {found["MESSAGE_ID"] for found in entries} == {message_id("audited")}
    assert entries[0]["SYSLOG_IDENTIFIER"] == "meshbox" and entries[0]["PRIORITY"] == "6"
