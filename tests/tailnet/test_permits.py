from __future__ import annotations

import orjson

from meshbox.tailnet.permits import NO_LOGIN, NOBODY, Permit, Permits
from tests.tailnet.build import allow, join, make_key, make_tailnet, policy


def test_filter_and_ssh_rules_are_those_of_the_policy() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    login = {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"]}
    t.enforce(policy(acls=[allow("ana@", "*:22")], ssh=[login]))
    permits = Permits(t)
    compiled = t.enforcement.compiled
    assert orjson.loads(permits.filter(node.id)) == orjson.loads(orjson.dumps(compiled.filter(node.id)))
    assert orjson.loads(permits.ssh(node.id)) == compiled.ssh.policy(node.id)


def test_nobody_is_written_out() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    t.enforce(policy(acls=[]))
    permits = Permits(t)
    assert permits.filter(node.id) == NOBODY and permits.ssh(node.id) == NO_LOGIN
    assert permits.filter(99) == NOBODY and permits.ssh(99) == NO_LOGIN
    assert Permit(NOBODY, NO_LOGIN).fields == b'"PacketFilter":[],"SSHPolicy":{"rules":[]}'


def test_sources_follow_the_policy() -> None:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    t.enforce(policy(acls=[allow("ana@", "*:22")]))
    permits = Permits(t)
    (before,) = orjson.loads(permits.filter(node.id))
    new = join(t, 2, key)
    (after,) = orjson.loads(permits.filter(node.id))
    assert set(after["SrcIPs"]) - set(before["SrcIPs"]) == {str(one) for one in new.addresses}
