from __future__ import annotations

from typing import Any

import orjson

from meshbox.tailnet import devices
from meshbox.tailnet.permits import NO_LOGIN, Permit, Permits
from tests.tailnet.build import NOW, allow, join, make_key, make_tailnet, policy

TAGS = {"tag:ci": []}


def rules(permit: Permit) -> list[dict[str, Any]]:
    return [rule for chunk in permit.chunks.values() for rule in orjson.loads(chunk)]


def test_filter_and_ssh_rules_are_those_of_the_policy() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    login = {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"]}
    t.enforce(policy(acls=[allow("ana@", "*:22"), allow("tag:ci", "ana@:80")], ssh=[login], tagOwners=TAGS))
    join(t, 2, make_key(t, tags=("tag:ci",)))
    permit = Permits(t).of(node.id)
    compiled = t.enforcement.compiled
    assert rules(permit) == orjson.loads(orjson.dumps(compiled.filter(node.id)))
    assert orjson.loads(permit.ssh) == compiled.ssh.policy(node.id)
    assert sorted(permit.chunks) == [0, 1]


def test_nobody_is_written_out() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    t.enforce(policy(acls=[]))
    for permit in (Permits(t).of(node.id), Permits(t).of(99)):
        assert not permit.chunks and permit.ssh == NO_LOGIN
        assert permit.fields == b'"PacketFilters":{"*":null,"base":[]},"SSHPolicy":{"rules":[]}'


def test_only_the_chunks_that_name_a_new_node_are_told_again() -> None:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    t.enforce(policy(acls=[allow("ana@", "*:22"), allow("tag:ci", "*:80")], tagOwners=TAGS))
    permits = Permits(t)
    before = permits.of(node.id)
    assert before.news_since(before.marks) == b""
    new = join(t, 2, make_key(t, tags=("tag:ci",)))
    after = permits.of(node.id)
    news = orjson.loads(b"{" + after.news_since(before.marks) + b"}")["PacketFilters"]
    assert list(news) == ["r000001"]
    assert set(news["r000001"][0]["SrcIPs"]) == {str(one) for one in new.addresses}
    devices.delete(t, new.id, "test", NOW)
    gone = permits.of(node.id)
    assert orjson.loads(b"{" + gone.news_since(after.marks) + b"}")["PacketFilters"] == {"r000001": None}
