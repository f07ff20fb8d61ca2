from __future__ import annotations

import pytest

from tests.serve.api.stand import Stand
from tests.tailnet.build import join, make_key


def test_user_has_every_field_tools_read(stand: Stand) -> None:
    wish = {"name": "eva", "displayName": "Eva", "email": "eva@example.org", "pictureUrl": "https://x/y.png"}
    answer = stand.ask("POST", "/api/v1/user", wish)
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.json == {
        "user": {
            "id": "1",
            "name": "eva",
            "createdAt": "2023-11-14T22:13:20Z",
            "displayName": "Eva",
            "email": "eva@example.org",
            "providerId": "",
            "provider": "",
            "profilePicUrl": "https://x/y.png",
            "role": "member",
            "groups": [],
        }
    }


def test_list_and_filters(stand: Stand) -> None:
    assert stand.ask("GET", "/api/v1/user").json == {"users": []}
    for name in ("ana", "ben"):
        stand.ask("POST", "/api/v1/user", {"name": name, "email": f"{name}@example.org"})
    everyone = stand.ask("GET", "/api/v1/user").json["users"]
    assert [user["name"] for user in everyone] == ["ana", "ben"]
    for query in ("name=ben", "email=ben@example.org", "id=2"):
        found = stand.ask("GET", f"/api/v1/user?{query}").json["users"]
        assert [user["name"] for user in found] == ["ben"], query
    assert stand.ask("GET", "/api/v1/user?name=zoe").json == {"users": []}


def test_rename_by_id_and_by_name(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})
    assert stand.ask("POST", "/api/v1/user/1/rename/anna").json["user"]["name"] == "anna"
    assert stand.ask("POST", "/api/v1/user/anna/rename/ann").json["user"]["id"] == "1"


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 422, "name: is missing"),
        ({"name": ""}, 422, "name: is missing"),
        ({"name": "two words"}, 422, "cannot be a user name"),
        ({"name": "ana"}, 409, "already a user"),
        ({"name": ["x"]}, 422, "name: wants text, found a list"),
        ({"name": True}, 422, "name: wants text"),
        ({"name": "x", "email": "a\nb"}, 422, "printable"),
        (b"{", 400, "not JSON"),
        (b"[" * 60_000, 400, "not JSON"),
        (b'{"name": NaN}', 400, "not JSON"),
        (b'["name"]', 400, "not a JSON object"),
        (b'{"name": "\\ud800"}', 400, "not JSON"),
        (b"x" * 70_000, 413, "larger than 64 KiB"),
    ],
)
def test_bad_wishes_change_nothing(stand: Stand, body: object, status: int, says: str) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})
    answer = stand.ask("POST", "/api/v1/user", body)
    assert (answer.status, says in answer.message) == (status, True), answer.message
    assert len(stand.ask("GET", "/api/v1/user").json["users"]) == 1


def test_error_body_serves_both_generations(stand: Stand) -> None:
    answer = stand.ask("GET", "/api/v1/user/zoe")
    assert answer.status == 404
    body = answer.json
    assert body["code"] == 5 and body["details"] == []
    assert body["title"] == "Not Found" and body["status"] == 404
    assert body["message"] == body["detail"] == body["errors"][0]["message"]
    assert "there is no user 'zoe'" in body["message"]


def test_content_type_does_not_matter(stand: Stand) -> None:
    for number, kind in enumerate(("text/plain", "application/x-www-form-urlencoded", "")):
        answer = stand.ask("POST", "/api/v1/user", {"name": f"u{number}"}, Content_Type=kind)
        assert answer.status == 200, kind


def test_compressed_body_is_refused_unread(stand: Stand) -> None:
    answer = stand.ask("POST", "/api/v1/user", b"\x1f\x8b", Content_Encoding="gzip")
    assert answer.status == 400


def test_user_with_nodes_stays(stand: Stand) -> None:
    stand.do(lambda t: join(t, 1, make_key(t, "ana")))
    answer = stand.ask("DELETE", "/api/v1/user/ana")
    assert answer.status == 409
    assert "still owns 1 node" in answer.message
    stand.ask("DELETE", "/api/v1/node/1")
    assert stand.ask("DELETE", "/api/v1/user/ana").json == {}
    assert stand.ask("GET", "/api/v1/user").json == {"users": []}
    assert stand.ask("GET", "/api/v1/preauthkey").json == {"preAuthKeys": []}


def test_close_names_are_offered(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "katharina"})
    assert "did you mean katharina?" in stand.ask("DELETE", "/api/v1/user/katarina").message


def test_digits_are_an_id_and_never_a_name(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "7"})
    answer = stand.ask("DELETE", "/api/v1/user/7")
    assert answer.status == 404
    assert "user named '7' has id 1" in answer.message
    assert len(stand.ask("GET", "/api/v1/user").json["users"]) == 1


def test_every_act_is_audited_with_its_actor(stand: Stand) -> None:
    stand.ask("POST", "/api/v1/user", {"name": "ana"})
    stand.ask("POST", "/api/v1/user/ana/rename/ann")
    stand.ask("DELETE", "/api/v1/user/ann")
    entries = stand.do(lambda t: stand.store.newest_audit(10))
    assert [entry.action for entry in entries] == ["user.delete", "user.rename", "user.create"]
    assert all(entry.actor.startswith("local:") and len(entry.actor) > 6 for entry in entries)
