"""Pre-auth keys and API keys: shown once, named by id or prefix, and what a key opens."""

from __future__ import annotations

import pytest

from meshbox.tailnet.authkeys import KeyRefused, check_auth_key
from tests.serve.api.stand import Stand
from tests.tailnet.build import NOW

LATER = "2024-01-01T00:00:00Z"


def make_user(stand: Stand) -> None:
    assert stand.ask("POST", "/api/v1/user", {"name": "ana"}).status == 200


def make_api_key(stand: Stand) -> str:
    return str(stand.ask("POST", "/api/v1/apikey", {}).json["apiKey"])


@pytest.mark.parametrize("owner", ["1", 1, "ana"])
def test_a_new_key_opens_and_is_shown_once(stand: Stand, owner: object) -> None:
    make_user(stand)
    wish = {"user": owner, "reusable": True, "ephemeral": True, "expiration": LATER, "aclTags": []}
    key = stand.ask("POST", "/api/v1/preauthkey", wish).json["preAuthKey"]
    assert key["user"]["name"] == "ana"
    assert (key["reusable"], key["ephemeral"], key["used"]) == (True, True, False)
    assert key["expiration"] == LATER
    found = stand.do(lambda t: check_auth_key(t, key["key"], NOW))
    assert not isinstance(found, KeyRefused)
    [listed] = stand.ask("GET", "/api/v1/preauthkey").json["preAuthKeys"]
    assert listed["key"] == f"mb-auth-{key['prefix']}-***"
    assert listed | {"key": ""} == key | {"key": ""}


def test_a_tagged_key_needs_no_user(stand: Stand) -> None:
    key = stand.ask("POST", "/api/v1/preauthkey", {"user": "0", "aclTags": ["tag:ci"]}).json["preAuthKey"]
    assert key["user"] is None and key["aclTags"] == ["tag:ci"]
    assert key["expiration"] is None


@pytest.mark.parametrize(
    ("wish", "status"),
    [
        ({}, 422),
        ({"user": "zoe"}, 404),
        ({"user": 99}, 404),
        ({"user": "ana", "expiration": "2001-01-01T00:00:00Z"}, 422),
        ({"user": "ana", "expiration": "soon"}, 422),
        ({"user": "ana", "reusable": "yes"}, 422),
        ({"user": "ana", "aclTags": ["ci"]}, 422),
        ({"user": "ana", "aclTags": {"tag:a": 1}}, 422),
    ],
)
def test_bad_wishes_make_no_key(stand: Stand, wish: dict[str, object], status: int) -> None:
    make_user(stand)
    assert stand.ask("POST", "/api/v1/preauthkey", wish).status == status
    assert stand.ask("GET", "/api/v1/preauthkey").json == {"preAuthKeys": []}


def test_go_zero_time_means_no_expiry(stand: Stand) -> None:
    make_user(stand)
    wish = {"user": "ana", "expiration": "0001-01-01T00:00:00Z"}
    assert stand.ask("POST", "/api/v1/preauthkey", wish).json["preAuthKey"]["expiration"] is None


@pytest.mark.parametrize("spelling", ["id", "prefix", "masked", "whole", "old"])
def test_expire_in_every_spelling(stand: Stand, spelling: str) -> None:
    make_user(stand)
    key = stand.ask("POST", "/api/v1/preauthkey", {"user": "ana"}).json["preAuthKey"]
    body = {
        "id": {"id": key["id"]},
        "prefix": {"id": key["prefix"]},
        "masked": {"id": f"mb-auth-{key['prefix']}-***"},
        "whole": {"id": key["key"]},
        "old": {"user": "ana", "key": key["key"]},
    }[spelling]
    assert stand.ask("POST", "/api/v1/preauthkey/expire", body).json == {}
    assert isinstance(stand.do(lambda t: check_auth_key(t, key["key"], NOW)), KeyRefused)
    [listed] = stand.ask("GET", "/api/v1/preauthkey").json["preAuthKeys"]
    assert listed["expiration"] == listed["revokedAt"] == "2023-11-14T22:13:20Z"


def test_a_mistyped_whole_key_is_not_repeated(stand: Stand) -> None:
    answer = stand.ask("POST", "/api/v1/preauthkey/expire", {"id": "mb-auth-000000000000-" + "s" * 43})
    assert answer.status == 404
    assert "sss" not in answer.message


def test_delete_and_filter_by_user(stand: Stand) -> None:
    make_user(stand)
    stand.ask("POST", "/api/v1/preauthkey", {"user": "ana"})
    assert len(stand.ask("GET", "/api/v1/preauthkey?user=ana").json["preAuthKeys"]) == 1
    assert stand.ask("DELETE", "/api/v1/preauthkey?id=1").json == {}
    assert stand.ask("DELETE", "/api/v1/preauthkey?id=1").status == 404
    assert stand.ask("DELETE", "/api/v1/preauthkey").status == 422


def test_an_api_key_opens_the_public_door(stand: Stand) -> None:
    text = make_api_key(stand)
    answer = stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {text}")
    assert answer.status == 200
    [listed] = stand.ask("GET", "/api/v1/apikey").json["apiKeys"]
    assert listed["prefix"] == "-".join(text.split("-")[:3]) + "-***"
    assert listed["expiration"] == "2024-02-12T22:13:20Z"
    assert listed["lastSeen"] == "2023-11-14T22:13:20Z"
    assert text.rpartition("-")[2] not in str(listed)


def test_acts_with_an_api_key_are_audited_under_its_prefix(stand: Stand) -> None:
    text = make_api_key(stand)
    stand.ask_public("POST", "/api/v1/user", {"name": "ana"}, Authorization=f"Bearer {text}")
    entry = stand.do(lambda t: stand.store.newest_audit(1))[0]
    assert (entry.actor, entry.action) == (f"api:{text.split('-')[2]}", "user.create")


@pytest.mark.parametrize("how", ["expire prefix", "expire id", "delete", "delete by id"])
def test_a_revoked_api_key_opens_nothing(stand: Stand, how: str) -> None:
    text = make_api_key(stand)
    prefix = "-".join(text.split("-")[:3]) + "-***"
    answer = {
        "expire prefix": lambda: stand.ask("POST", "/api/v1/apikey/expire", {"prefix": prefix}),
        "expire id": lambda: stand.ask("POST", "/api/v1/apikey/expire", {"id": "1"}),
        "delete": lambda: stand.ask("DELETE", f"/api/v1/apikey/{text.split('-')[2]}"),
        "delete by id": lambda: stand.ask("DELETE", "/api/v1/apikey/-?id=1"),
    }[how]()
    assert answer.status == 200
    assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {text}").status == 401


def test_an_expired_api_key_opens_nothing(stand: Stand) -> None:
    text = stand.ask("POST", "/api/v1/apikey", {"expiration": LATER}).json["apiKey"]
    stand.now = NOW + 366 * 86_400
    assert stand.ask_public("GET", "/api/v1/user", Authorization=f"Bearer {text}").status == 401


@pytest.mark.parametrize("expiration", ["2001-01-01T00:00:00Z", "2030-01-01T00:00:00Z", "x"])
def test_an_api_key_lives_at_most_a_year(stand: Stand, expiration: str) -> None:
    assert stand.ask("POST", "/api/v1/apikey", {"expiration": expiration}).status == 422
    assert stand.ask("GET", "/api/v1/apikey").json == {"apiKeys": []}
