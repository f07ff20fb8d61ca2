from __future__ import annotations

import pytest

from meshbox.tailnet import authkeys, users
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import UserWish
from tests.serve.api.stand import DOMAIN, Stand
from tests.tailnet.build import NOW, join, machine, make_key, node_key


def two_nodes(t: Tailnet) -> None:
    key = make_key(t, "ana", reusable=True)
    join(t, 1, key, "laptop")
    join(t, 2, key, "phone")


def test_node_has_every_field_tools_read(stand: Stand) -> None:
    stand.do(two_nodes)
    node = stand.ask("GET", "/api/v1/node/1").json["node"]
    assert node["machineKey"] == str(machine(1)) and node["nodeKey"] == str(node_key(1))
    assert node["name"] == node["givenName"] == "laptop"
    assert node["dnsName"] == f"laptop.{DOMAIN}"
    assert node["ipAddresses"][0].startswith("100.64.") and node["ipAddresses"][1].startswith("fd7a:")
    assert node["user"]["name"] == "ana"
    assert node["expiry"] is None
    assert node["registerMethod"] == "REGISTER_METHOD_AUTH_KEY"
    assert node["preAuthKey"]["key"].endswith("-***")
    assert node["online"] is False and node["expired"] is False
    for name in (
        "approvedRoutes",
        "availableRoutes",
        "subnetRoutes",
        "tags",
        "forcedTags",
        "validTags",
        "invalidTags",
    ):
        assert node[name] == []
    assert node["createdAt"] == "2023-11-14T22:13:20Z"


def test_secrets_have_no_field(stand: Stand) -> None:
    text = stand.do(lambda t: make_key(t, "ana", reusable=True))
    stand.do(lambda t: join(t, 1, text))
    secret = text.rpartition("-")[2]
    for path in ("/node", "/node/1", "/preauthkey", "/user", "/status"):
        assert secret not in stand.ask("GET", f"/api/v1{path}").body.decode()


def test_list_by_user(stand: Stand) -> None:
    stand.do(two_nodes)
    stand.do(lambda t: join(t, 3, make_key(t, "ben"), "server"))
    assert [node["name"] for node in stand.ask("GET", "/api/v1/node").json["nodes"]] == [
        "laptop",
        "phone",
        "server",
    ]
    assert [node["name"] for node in stand.ask("GET", "/api/v1/node?user=ben").json["nodes"]] == ["server"]
    assert stand.ask("GET", "/api/v1/node?user=zoe").status == 404


def test_many_nodes_are_listed_whole(stand: Stand) -> None:
    def many(t: Tailnet) -> None:
        key = make_key(t, "ana", reusable=True)
        for number in range(300):
            join(t, number, key, f"host-{number}")

    stand.do(many)
    found = stand.ask("GET", "/api/v1/node").json["nodes"]
    assert [node["name"] for node in found] == [f"host-{number}" for number in range(300)]


@pytest.mark.parametrize(
    "name", ["1", "laptop", "LAPTOP", f"laptop.{DOMAIN}", f"laptop.{DOMAIN}.", "100.64.0.1", str(node_key(1))]
)
def test_a_node_answers_to_all_its_names(stand: Stand, name: str) -> None:
    stand.do(two_nodes)
    if name.startswith("100."):
        name = stand.ask("GET", "/api/v1/node/1").json["node"]["ipAddresses"][0]
    assert stand.ask("GET", f"/api/v1/node/{name}").json["node"]["id"] == "1"


def test_ambiguous_host_name_lists_candidates_and_does_nothing(stand: Stand) -> None:
    def twins(t: Tailnet) -> None:
        key = make_key(t, "ana", reusable=True)
        join(t, 1, key, "Rasp Berry")
        join(t, 2, key, "Rasp Berry")

    stand.do(twins)
    answer = stand.ask("DELETE", "/api/v1/node/Rasp%20Berry")
    assert answer.status == 409
    assert "(id 1)" in answer.message and "(id 2)" in answer.message
    assert len(stand.ask("GET", "/api/v1/node").json["nodes"]) == 2


def test_deleting_twice_by_id_never_hits_a_namesake(stand: Stand) -> None:
    stand.do(two_nodes)
    stand.ask("POST", "/api/v1/node/2/rename/1")
    assert stand.ask("DELETE", "/api/v1/node/1").status == 200
    answer = stand.ask("DELETE", "/api/v1/node/1")
    assert answer.status == 404
    assert [node["id"] for node in stand.ask("GET", "/api/v1/node").json["nodes"]] == ["2"]


def test_rename(stand: Stand) -> None:
    stand.do(two_nodes)
    assert stand.ask("POST", "/api/v1/node/laptop/rename/desk").json["node"]["givenName"] == "desk"
    assert stand.ask("POST", "/api/v1/node/desk/rename/phone").status == 409
    for bad in ("a_b", "..", "%2e%2e", "a%2Fb", "x" * 64, "%00", "%C3%A4"):
        assert stand.ask("POST", f"/api/v1/node/desk/rename/{bad}").status == 422, bad
    assert stand.ask("GET", "/api/v1/node/1").json["node"]["givenName"] == "desk"


def test_expire_now_then_never(stand: Stand) -> None:
    stand.do(two_nodes)
    node = stand.ask("POST", "/api/v1/node/1/expire").json["node"]
    assert node["expired"] is True and node["expiry"] == "2023-11-14T22:13:20Z"
    node = stand.ask("POST", "/api/v1/node/1/expire", {"disableExpiry": True}).json["node"]
    assert node["expired"] is False and node["expiry"] is None


def test_expire_at_a_time(stand: Stand) -> None:
    stand.do(two_nodes)
    at = "2030-01-31T12:00:00Z"
    assert stand.ask("POST", "/api/v1/node/1/expire", {"expiry": at}).json["node"]["expiry"] == at
    assert stand.ask("POST", f"/api/v1/node/2/expire?expiry={at}").json["node"]["expiry"] == at
    for body in ({"expiry": at, "disableExpiry": True}, {"expiry": "tomorrow"}, {"expiry": "2030-01-31"}):
        assert stand.ask("POST", "/api/v1/node/1/expire", body).status == 422
    assert stand.ask("GET", "/api/v1/node/1").json["node"]["expiry"] == at


def test_tags_take_the_owner_and_a_user_takes_the_tags(stand: Stand) -> None:
    stand.do(two_nodes)
    node = stand.ask("POST", "/api/v1/node/1/tags", {"tags": ["tag:web", "tag:db", "tag:web"]}).json["node"]
    assert node["tags"] == ["tag:db", "tag:web"] == node["forcedTags"]
    assert node["user"]["id"] == "2147455555" and node["user"]["name"] == "tagged-devices"
    tagged = stand.ask("GET", "/api/v1/node?user=tagged-devices").json["nodes"]
    assert [one["id"] for one in tagged] == ["1"]
    for bad in ([], ["web"], ["tag:Web"], ["tag:web", 7], "tag:web", ["tag:x"] * 600):
        assert stand.ask("POST", "/api/v1/node/1/tags", {"tags": bad}).status == 422, bad
    assert stand.ask("GET", "/api/v1/node/1").json["node"]["tags"] == ["tag:db", "tag:web"]
    node = stand.ask("POST", "/api/v1/node/1/user", {"user": "ana"}).json["node"]
    assert node["tags"] == [] and node["user"]["name"] == "ana"


def test_move_to_another_user(stand: Stand) -> None:
    stand.do(two_nodes)
    stand.do(lambda t: users.create(t, UserWish("ben"), "test", NOW))
    assert stand.ask("POST", "/api/v1/node/phone/user", {"user": "2"}).json["node"]["user"]["name"] == "ben"
    assert stand.ask("POST", "/api/v1/node/phone/user", {"user": "zoe"}).status == 404
    assert stand.ask("POST", "/api/v1/node/phone/user", {}).status == 422


def test_delete_frees_the_name(stand: Stand) -> None:
    stand.do(two_nodes)
    assert stand.ask("DELETE", "/api/v1/node/phone").json == {}
    assert stand.ask("GET", "/api/v1/node/phone").status == 404
    assert "did you mean" not in stand.ask("GET", "/api/v1/node/zzz").message


def test_node_of_a_deleted_key_still_has_a_shape(stand: Stand) -> None:
    stand.do(two_nodes)
    stand.do(lambda t: authkeys.delete(t, 1, "test", NOW))
    assert stand.ask("GET", "/api/v1/node/1").json["node"]["preAuthKey"] is None
