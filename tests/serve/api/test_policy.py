"""The policy over the API: Headscale's shape, versions, concurrent changes, questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from meshbox.config import Policy
from meshbox.serve.api.policy import POLICY_BODY_LIMIT
from meshbox.tailnet import devices
from tests.serve.api.stand import Answer, Stand
from tests.tailnet.build import join, make_key

PATH = "/api/v1/policy"
OPEN = '{\n  // everybody\n  "acls": [{"action": "accept", "src": ["*"], "dst": ["*:*"]}],\n}\r\n'
CLOSED = '{"acls": []}'
WEB = """\
tagOwners: {"tag:web": []}
acls:
  - {action: accept, src: ["ana@"], dst: ["tag:web:443"]}
tests:
  - {src: "ana@", accept: ["tag:web:443"]}
  - {src: "tag:web", deny: ["ana@:22"]}
"""


def put(stand: Stand, text: str, **more: Any) -> Answer:
    return stand.ask("PUT", PATH, {"policy": text, **more})


def crowd(stand: Stand) -> None:
    def fill(t: Any) -> None:
        join(t, 1, make_key(t, "ana"), "laptop")
        join(t, 2, make_key(t, "ben"), "desk")
        server = join(t, 3, make_key(t, "ana"), "web1")
        devices.set_tags(t, server.id, ["tag:web"], "test", stand.now)

    stand.do(fill)


def test_without_a_policy_the_answer_is_empty_and_no_error(stand: Stand) -> None:
    answer = stand.ask("GET", PATH)
    assert answer.status == 200 and answer.headers["ETag"] == '"0"'
    assert (answer.json["policy"], answer.json["updatedAt"], answer.json["version"]) == ("", None, "0")
    assert stand.ask("GET", "/api/v1/status").json["policy"] == "none: everything is allowed"


def test_a_text_comes_back_as_it_was_put(stand: Stand) -> None:
    answer = put(stand, OPEN, note="first")
    assert (answer.status, answer.headers["ETag"], answer.json["policy"]) == (200, '"1"', OPEN)
    found = stand.ask("GET", PATH).json
    assert (found["policy"], found["note"], found["updatedAt"]) == (OPEN, "first", "2023-11-14T22:13:20Z")
    assert found["actor"].startswith("local:") and not found["problem"]
    assert put(stand, WEB.replace("tests:", "#").split("#")[0]).json["version"] == "2"
    versions = stand.ask("GET", f"{PATH}/history").json["versions"]
    assert [one["version"] for one in versions] == ["2", "1"] and versions[1]["size"] == len(OPEN)
    assert stand.ask("GET", f"{PATH}/history?limit=1").json["versions"] == versions[:1]
    assert stand.ask("GET", f"{PATH}/1").json["policy"] == OPEN
    assert stand.ask("GET", f"{PATH}/7").status == 404
    assert stand.ask("GET", f"{PATH}/x").status == 422


def test_the_same_text_again_is_no_new_version(stand: Stand) -> None:
    put(stand, OPEN)
    assert put(stand, OPEN).json["version"] == "1"
    assert len(stand.ask("GET", f"{PATH}/history").json["versions"]) == 1


def test_a_bad_text_is_refused_with_its_place_and_the_old_one_stays(stand: Stand) -> None:
    put(stand, CLOSED)
    answer = put(stand, '{\n  "acls": [{"action": "deny", "src": ["*"], "dst": ["*:*"]}]\n}')
    assert answer.status == 422 and answer.json["kind"] == "PolicyError"
    assert (answer.json["line"], answer.json["column"]) == (2, 23) and "line 2, column 23" in answer.message
    assert 'action="deny" is not supported' in answer.message
    assert stand.ask("GET", PATH).json["policy"] == CLOSED
    assert put(stand, "").status == 422


def test_tests_run_on_every_change(stand: Stand) -> None:
    crowd(stand)
    assert put(stand, WEB).status == 200
    answer = put(stand, WEB.replace("443", "80", 1))
    assert answer.status == 422 and "line 5" in answer.message and "want: Accept, got: Drop" in answer.message
    assert answer.json["data"][0]["user"] == "ana@" and answer.json["data"][0]["line"] == 5
    assert stand.ask("GET", PATH).json["version"] == "1"


@pytest.mark.parametrize("by_header", [True, False])
def test_a_change_that_started_from_an_older_version_is_refused(stand: Stand, by_header: bool) -> None:
    def change(text: str, version: str) -> Answer:
        if by_header:
            return stand.ask("PUT", PATH, {"policy": text}, If_Match=f'"{version}"')
        return put(stand, text, expected=version)

    assert change(OPEN, "0").status == 200
    answer = change(CLOSED, "0")
    assert answer.status == 412 and "at version 1" in answer.message and answer.json["kind"] == "Outdated"
    assert stand.ask("GET", PATH).json["policy"] == OPEN
    assert change(CLOSED, "1").status == 200
    assert change(CLOSED, "nonsense").status == 422


def test_an_older_version_comes_back_as_a_new_one(stand: Stand) -> None:
    put(stand, OPEN)
    put(stand, CLOSED)
    answer = stand.ask("POST", f"{PATH}/1/restore", {"expected": "2"})
    assert (answer.status, answer.json["version"], answer.json["policy"]) == (200, "3", OPEN)
    assert answer.json["note"] == "version 1 again"
    assert stand.ask("POST", f"{PATH}/2/restore", {"expected": "2"}).status == 412
    assert stand.ask("POST", f"{PATH}/9/restore").status == 404


def test_checks_change_nothing(stand: Stand) -> None:
    assert stand.ask("POST", f"{PATH}/check", {"policy": OPEN}).json == {}
    assert stand.ask("POST", f"{PATH}/check", {"policy": "{"}).status == 422
    assert stand.ask("GET", PATH).json["version"] == "0"


def test_each_test_is_told(stand: Stand) -> None:
    crowd(stand)
    answer = stand.ask("POST", f"{PATH}/test", {"policy": WEB.replace("443", "80", 1)}).json
    assert [one["passed"] for one in answer["tests"]] == [False, True] and answer["failed"] == 1
    assert answer["tests"][0]["wishes"] == ["accept tag:web:443"] and answer["tests"][0]["line"] == 5
    assert stand.ask("POST", f"{PATH}/test").json == {"tests": [], "failed": 0}
    put(stand, WEB)
    assert stand.ask("POST", f"{PATH}/test").json["failed"] == 0


def test_what_a_change_takes_and_gives(stand: Stand) -> None:
    crowd(stand)
    found = stand.ask("POST", f"{PATH}/diff", {"policy": WEB}).json
    # Six pairs were open; one stays, at one port.
    assert found["lost"]["pairs"] == 6 and found["gained"]["pairs"] == 0
    put(stand, CLOSED)
    found = stand.ask("POST", f"{PATH}/diff", {"policy": WEB}).json
    (row,) = found["gained"]["rows"]
    example = {"src": "laptop", "dst": "web1"}
    way = {"src": "ana", "dst": "tag:web", "ports": "443"}
    assert row == {**way, "pairs": 1, "isNetwork": False, "example": example}
    put(stand, WEB)
    assert stand.ask("POST", f"{PATH}/diff", {"from": "2", "to": "1"}).json["lost"]["rows"] == [row]
    assert stand.ask("POST", f"{PATH}/diff", {"policy": WEB, "to": "1"}).status == 422
    assert stand.ask("POST", f"{PATH}/diff", {}).status == 422


def explain(stand: Stand, src: str, dst: str, **more: str) -> Any:
    return stand.ask("POST", f"{PATH}/explain", {"src": src, "dst": dst, **more}).json


def test_explanations_name_the_rule(stand: Stand) -> None:
    crowd(stand)
    found = explain(stand, "laptop", "desk:22")
    assert found["allowed"] and found["rules"][0]["section"] == "default" and found["version"] is None
    put(stand, WEB)
    found = explain(stand, "laptop", "web1:443")
    (rule,) = found["rules"]
    assert found["allowed"] and found["version"] == "1" and (rule["line"], rule["column"]) == (3, 5)
    assert json.loads(rule["rule"]) == {"action": "accept", "src": ["ana@"], "dst": ["tag:web:443"]}
    found = explain(stand, "autogroup:member", "tag:web:443")
    assert not found["allowed"] and (found["allowedPairs"], found["pairs"]) == (1, 2)
    assert found["denied"] == {"src": "desk", "dst": "web1"}
    assert explain(stand, "ana", "[100.64.0.3]:443", policy=OPEN)["allowed"]
    assert explain(stand, "laptop", "web1", proto="icmp")["allowed"]
    assert not explain(stand, "laptop", "web1:443", proto="sctp")["allowed"]


@pytest.mark.parametrize(
    ("src", "dst", "status", "said"),
    [
        ("laptop", "web1", 422, "needs one port"),
        ("nobody", "web1:1", 404, "'nobody' is no node, no user"),
        ("", "web1:1", 422, "src: is missing"),
        ("laptop", "web1:99999", 422, "needs one port"),
    ],
)
def test_questions_that_mean_nothing(stand: Stand, src: str, dst: str, status: int, said: str) -> None:
    crowd(stand)
    answer = stand.ask("POST", f"{PATH}/explain", {"src": src, "dst": dst})
    assert answer.status == status and said in answer.message


def test_role_and_groups_change_what_is_explained(stand: Stand) -> None:
    crowd(stand)
    rule = {"action": "accept", "src": ["autogroup:admin", "group:ops"], "dst": ["ben@:22"]}
    answer = put(stand, json.dumps({"acls": [rule]}))
    assert answer.status == 422 and "group not found" in answer.message
    assert stand.ask("POST", "/api/v1/user/ana/groups", {"groups": ["group:ops"]}).status == 200
    assert put(stand, json.dumps({"acls": [rule]})).status == 200
    assert explain(stand, "laptop", "desk:22")["allowed"]
    stand.ask("POST", "/api/v1/user/ana/groups", {"groups": []})
    assert not explain(stand, "laptop", "desk:22")["allowed"]
    user = stand.ask("POST", "/api/v1/user/ana/role", {"role": "admin"}).json["user"]
    assert (user["role"], user["groups"]) == ("admin", [])
    assert explain(stand, "laptop", "desk:22")["allowed"]
    assert stand.ask("POST", "/api/v1/user/ana/groups", {}).status == 422


def test_a_body_over_the_limit_is_not_read(stand: Stand) -> None:
    assert put(stand, " " * POLICY_BODY_LIMIT).status == 413


def test_in_file_mode_the_file_is_where_to_change_it(tmp_path: Path) -> None:
    file = tmp_path / "acl.hujson"
    file.write_text(CLOSED)
    with Stand(tmp_path, policy=Policy(path=file)) as stand:
        found = stand.ask("GET", PATH).json
        assert (found["policy"], found["actor"], found["file"]) == (CLOSED, "file:acl.hujson", str(file))
        for answer in (put(stand, OPEN), stand.ask("POST", f"{PATH}/1/restore")):
            assert answer.status == 403 and "update is disabled" in answer.message
            assert str(file) in answer.message and "reload" in answer.message
        assert stand.ask("POST", f"{PATH}/check", {"policy": OPEN}).json == {}


def test_strangers_are_told_nothing(stand: Stand) -> None:
    for method, path in (("GET", PATH), ("PUT", PATH), ("GET", f"{PATH}/1"), ("POST", f"{PATH}/diff")):
        assert stand.ask_public(method, path, {"policy": OPEN}).status == 401
