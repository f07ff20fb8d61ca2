"""Pending registrations: listed, let in, rejected."""

from __future__ import annotations

import pytest

from meshbox.tailnet import enrol, users
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import UserWish
from tests.serve.api.stand import URL, Stand
from tests.tailnet.build import NOW, machine, node_key, register_request


def knock(t: Tailnet, number: int = 1, hostname: str = "visitor") -> str:
    """A device asks to come in without a key; returns the id of its registration."""
    if "ana" not in t.by_user_name:
        users.create(t, UserWish("ana"), "test", NOW)
    outcome = enrol.register(t, machine(number), register_request(number, hostname), "192.0.2.9", NOW)
    assert isinstance(outcome, enrol.LoginNeeded)
    return outcome.pending.id


def test_waiting_devices_are_listed(stand: Stand) -> None:
    assert stand.ask("GET", "/api/v1/auth").json == {"registrations": []}
    pending = stand.do(knock)
    [entry] = stand.ask("GET", "/api/v1/auth").json["registrations"]
    assert entry["authId"] == pending and not pending.startswith("-")
    assert entry["hostname"] == "visitor" and entry["os"] == "linux"
    assert entry["source"] == "192.0.2.9"
    assert entry["nodeKeyShort"] == node_key(1).short
    assert entry["url"] == f"{URL}/register/{pending}"
    assert stand.ask("GET", f"/api/v1/auth/{pending}").json["registration"] == entry


@pytest.mark.parametrize(
    ("path", "how"),
    [
        ("/auth/approve", "body"),
        ("/auth/register", "body"),
        ("/node/register", "query"),
        ("/node/register", "body"),
        ("/auth/approve", "link"),
    ],
)
def test_let_in_in_every_spelling(stand: Stand, path: str, how: str) -> None:
    pending = stand.do(knock)
    field = "key" if path.startswith("/node") else "authId"
    if how == "query":
        answer = stand.ask("POST", f"/api/v1{path}?user=ana&{field}={pending}")
    else:
        given = f"{URL}/register/{pending}" if how == "link" else pending
        answer = stand.ask("POST", f"/api/v1{path}", {"user": "ana", field: given})
    assert answer.status == 200
    node = answer.json["node"]
    assert node["nodeKey"] == str(node_key(1))
    assert node["user"]["name"] == "ana" and node["registerMethod"] == "REGISTER_METHOD_CLI"
    assert stand.ask("GET", "/api/v1/auth").json == {"registrations": []}
    follow_up = register_request(1, followup=f"{URL}/register/{pending}")
    outcome = stand.do(lambda t: enrol.register(t, machine(1), follow_up, "192.0.2.9", NOW))
    assert isinstance(outcome, enrol.Accepted)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"user": "ana"}, 422, "authId: is missing"),
        ({"authId": "PENDING"}, 422, "say whose device"),
        ({"authId": "PENDING", "user": "zoe"}, 404, "no user 'zoe'"),
        ({"authId": "reg-nonsense", "user": "ana"}, 404, "run `tailscale up` again"),
    ],
)
def test_bad_approvals_let_nobody_in(stand: Stand, body: dict[str, str], status: int, says: str) -> None:
    pending = stand.do(knock)
    given = {name: pending if value == "PENDING" else value for name, value in body.items()}
    answer = stand.ask("POST", "/api/v1/auth/approve", given)
    assert (answer.status, says in answer.message) == (status, True), answer.message
    assert stand.ask("GET", "/api/v1/node").json == {"nodes": []}
    assert len(stand.ask("GET", "/api/v1/auth").json["registrations"]) == 1


def test_a_decision_is_made_once(stand: Stand) -> None:
    pending = stand.do(knock)
    assert stand.ask("POST", "/api/v1/auth/reject", {"authId": pending}).json == {}
    answer = stand.ask("POST", "/api/v1/auth/approve", {"authId": pending, "user": "ana"})
    assert answer.status == 404 and "already rejected" in answer.message
    assert stand.ask("POST", "/api/v1/auth/reject", {"authId": pending}).status == 404
    assert stand.ask("GET", "/api/v1/auth").json == {"registrations": []}
    assert stand.do(lambda t: len(t.nodes)) == 0
