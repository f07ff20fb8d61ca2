"""/api/v1/events and /audit over real sockets."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from meshbox import log
from meshbox.log import door
from meshbox.log.ring import Ring
from meshbox.tailnet import users
from meshbox.tailnet.users import UserWish
from tests.serve.api.stand import Stand


@pytest.fixture(autouse=True)
def fresh_ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ring]:
    ring = Ring(lines=50)
    monkeypatch.setattr(door, "_recent", ring)
    log.setup("info", "text", sink=lambda line: None)
    yield ring
    log.setup("info", "text")


def register(number: int) -> None:
    log.emit("node_registered", node=f"n{number}", node_id=number, user="ana", peer_ip="192.0.2.1")


def ask(stand: Stand, query: str = "") -> Any:
    answer = stand.ask("GET", f"/api/v1/events{query}")
    assert answer.status == 200, answer
    return answer.json


def nodes(answer: Any) -> list[str]:
    return [event["fields"]["node"] for event in answer["events"]]


def test_what_happened_oldest_first(stand: Stand) -> None:
    for number in (1, 2, 3):
        register(number)
    answer = ask(stand)
    assert nodes(answer) == ["n1", "n2", "n3"]
    assert answer["cursor"] == 3 and answer["missed"] == 0 and answer["journal"] is False
    first = answer["events"][0]
    assert (first["number"], first["level"], first["event"]) == (1, "info", "node_registered")
    assert first["message"] == "node n1 (id 1) of ana registered from 192.0.2.1"
    assert nodes(ask(stand, "?limit=2")) == ["n2", "n3"] and nodes(ask(stand, "?limit=0")) == []


def test_only_what_was_asked_for(stand: Stand) -> None:
    for number in (1, 2):
        register(number)
    log.emit("reloaded", changed="x", restart="y")
    assert nodes(ask(stand, "?node=n2")) == ["n2"] == nodes(ask(stand, "?node=2"))
    assert nodes(ask(stand, "?user=ana&after=1")) == ["n2"]
    assert [event["event"] for event in ask(stand, "?event=reloaded,audited")["events"]] == ["reloaded"]
    assert ask(stand, "?since=2999-01-01T00:00:00Z")["events"] == []
    assert len(ask(stand, "?since=2020-01-01T00:00:00Z")["events"]) == 3


def test_an_answer_waits_until_something_happens(stand: Stand) -> None:
    register(1)
    threading.Timer(0.5, register, [2]).start()
    began = time.monotonic()
    answer = ask(stand, "?after=1&wait=20")
    assert nodes(answer) == ["n2"] and 0.3 < time.monotonic() - began < 5
    began = time.monotonic()
    assert ask(stand, "?after=2&wait=1")["events"] == [] and 0.7 < time.monotonic() - began < 4


def test_what_fell_out_is_counted(stand: Stand) -> None:
    for number in range(80):
        register(number)
    answer = ask(stand, "?after=10")
    assert answer["missed"] == 20 and len(answer["events"]) == 50
    # A cursor of the server before its restart.
    assert len(ask(stand, "?after=5000")["events"]) == 50


@pytest.mark.parametrize("query", ["?after=-1", "?after=x", "?wait=26", "?limit=99999", "?since=x"])
def test_nonsense_is_refused(stand: Stand, query: str) -> None:
    assert stand.ask("GET", f"/api/v1/events{query}").status == 422


def test_both_are_for_administrators(stand: Stand) -> None:
    for path in ("/api/v1/events", "/api/v1/audit"):
        assert stand.ask_public("GET", path).status == 401


def test_the_audit_newest_first_and_by_page(stand: Stand) -> None:
    for name in ("ana", "ben", "cleo"):
        stand.do(lambda t, name=name: users.create(t, UserWish(name), f"api:{name}", stand.now))
    stand.now += 100

    def ids(query: str = "") -> list[str]:
        answer = stand.ask("GET", f"/api/v1/audit{query}")
        assert answer.status == 200, answer
        return [entry["id"] for entry in answer.json["entries"]]

    assert ids() == ["3", "2", "1"] and ids("?limit=1") == ["3"] and ids("?before=3") == ["2", "1"]
    assert ids("?actor=api:ben") == ["2"] == ids("?object=ben") and ids("?action=user.delete") == []
    assert ids("?until=2001-01-01T00:00:00Z") == [] and ids("?since=2001-01-01T00:00:00Z") == ["3", "2", "1"]
    [entry] = stand.ask("GET", "/api/v1/audit?object=ana").json["entries"]
    assert (entry["actor"], entry["action"]) == ("api:ana", "user.create")
