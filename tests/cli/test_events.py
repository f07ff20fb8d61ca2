"""`meshbox events` and `meshbox audit` as somebody types them, at a server without a journal."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from meshbox import log
from meshbox.cli.events import read_since
from meshbox.errors import Invalid
from meshbox.log import door
from meshbox.log.ring import Ring
from meshbox.tailnet import users
from meshbox.tailnet.users import UserWish
from tests.cli.conftest import Shell


@pytest.fixture(autouse=True)
def fresh_ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(door, "_recent", Ring())
    log.setup("info", "text", sink=lambda line: None)
    yield
    log.setup("info", "text")


def register(number: int) -> None:
    log.emit("node_registered", node=f"n{number}", node_id=number, user="ana", peer_ip="192.0.2.1")


def test_the_newest_last(shell: Shell) -> None:
    for number in (1, 2, 3):
        register(number)
    said = shell.type("events", "--no-header", "-n", "2")
    assert said.code == 0 and [line.split("\t")[3].split()[1] for line in said.lines] == ["n2", "n3"]
    assert [event["fields"]["node"] for event in shell.json("events", "--node", "n1")] == ["n1"]
    assert shell.json("events", "--event", "reloaded") == []


def test_a_misspelt_event_or_time_is_told(shell: Shell) -> None:
    wrong = shell.type("events", "--event", "node_registred")
    assert wrong.code == 2 and "did you mean node_registered" in wrong.err
    assert "write it like 2h" in shell.type("events", "--since", "soon").err
    nowhere = shell.type("events", "--source", "nowhere")
    assert nowhere.code == 2 and "journal" in nowhere.err


def test_following_prints_each_at_once(shell: Shell) -> None:
    register(1)
    command = [sys.executable, "-m", "meshbox.cli", "-c", str(shell.file), "events", "-f", "-o", "json"]
    follower = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert follower.stdout is not None
        first = json.loads(follower.stdout.readline())
        threading.Timer(0.2, register, [2]).start()
        began = time.monotonic()
        second = json.loads(follower.stdout.readline())
        assert [event["fields"]["node"] for event in (first, second)] == ["n1", "n2"]
        assert time.monotonic() - began < 5
    finally:
        follower.kill()
        follower.wait()
        follower.stdout.close()  # type: ignore[union-attr]


def test_the_audit(shell: Shell) -> None:
    stand = shell.stand
    for name in ("ana", "ben"):
        stand.do(lambda t, name=name: users.create(t, UserWish(name), "local:root", stand.now))
    said = shell.type("audit", "list", "--columns", "actor,action,object", "--no-header")
    assert said.lines == ["local:root\tuser.create\tben", "local:root\tuser.create\tana"]
    [entry] = shell.json("audit", "list", "--object", "ana")
    assert entry["action"] == "user.create"
    assert shell.json("audit", "list", "--since", "2999-01-01") == []
    assert shell.json("audit", "ls", "--before", "2", "-n", "5")[0]["id"] == "1"
    assert shell.type("audit", "list", "--before", "x").code == 2


def test_times() -> None:
    now = time.time()
    ago = read_since("2h")
    assert ago is not None and abs(now - 7200 - ago) < 5
    assert read_since("3d ago") is not None and read_since("") is None
    assert read_since("2026-11-25T08:00:00Z") == 1795593600.0
    assert read_since("2026-11-25") is not None
    for wrong in ("soon", "2h3", "25.11.2026"):
        with pytest.raises(Invalid):
            read_since(wrong)
