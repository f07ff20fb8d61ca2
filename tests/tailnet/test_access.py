from __future__ import annotations

import pytest

from meshbox.policy.problem import PolicyError
from meshbox.tailnet import devices
from meshbox.tailnet.access import check_policy
from tests.tailnet.build import NOW, join, make_key, make_tailnet


def test_nodes_become_devices_of_their_owners_or_tags() -> None:
    t = make_tailnet()
    node, server = join(t, 1, make_key(t, "ana")), join(t, 2, make_key(t, "ana"))
    devices.set_tags(t, server.id, ["tag:db"], "test", NOW)
    world = t.world()
    assert {person.name for person in world.people.values()} == {"ana"}
    assert world.devices[node.id].user_id == node.user_id and world.devices[node.id].ipv4 == node.ipv4
    assert world.devices[server.id].tags == ("tag:db",) and world.devices[server.id].user_id is None


def test_a_policy_is_held_against_the_nodes_that_are_here() -> None:
    t = make_tailnet()
    node, server = join(t, 1, make_key(t, "ana")), join(t, 2, make_key(t, tags=("tag:db",)))
    policy = """{ // only to the database
      "tagOwners": {"tag:db": ["autogroup:admin"]},
      "acls": [{"action": "accept", "src": ["autogroup:member"], "dst": ["tag:db:5432"]}],
      "tests": [{"src": "tag:db", "deny": ["NODE:22"]}],
    }"""
    compiled = check_policy(t, policy.replace("NODE", str(node.ipv4)))
    assert compiled.filter(node.id) == []
    (rule,) = compiled.filter(server.id)
    assert list(rule["SrcIPs"]) == sorted(str(address) for address in node.addresses)


def test_a_bad_policy_says_where() -> None:
    t = make_tailnet()
    with pytest.raises(PolicyError) as refused:
        check_policy(t, '{\n  "acls": [{"action": "accept", "src": ["tag:x"], "dst": ["*:*"]}]\n}')
    assert str(refused.value) == 'src=tag not found: "tag:x"'
    assert refused.value.spot is not None and refused.value.spot.line == 2
