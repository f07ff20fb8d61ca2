from __future__ import annotations

import pytest

from meshbox.errors import Exhausted
from meshbox.tailnet.identity import Login, Owner, free_label, settle_node
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, policy, register_request


def test_undoing_gives_a_new_nodes_addresses_back_and_keeps_an_old_ones() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    new = settle_node(t, Login(machine(2), register_request(2), Owner(user_id=1)), NOW)
    assert new.created
    new.undo(t)
    t.addresses.take(new.node.addresses[0])
    renewed = settle_node(t, Login(machine(1), register_request(11), Owner(user_id=1)), NOW)
    assert not renewed.created and renewed.node.addresses == node.addresses
    renewed.undo(t)
    assert join(t, 3, make_key(t)).addresses != node.addresses


def test_a_nodes_own_label_is_free_for_it() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t), "lab")
    assert free_label(t, "lab", node.id) == "lab"
    assert free_label(t, "lab") == "lab-1"


def test_a_new_node_takes_its_address_from_the_pool_that_the_policy_names() -> None:
    t = make_tailnet()
    first = join(t, 1, make_key(t, "ana"))
    pool = {"target": ["tag:ci"], "ipPool": ["100.81.0.0/31"]}
    t.enforce(policy(tagOwners={"tag:ci": []}, nodeAttrs=[pool]))
    key = make_key(t, tags=("tag:ci",), reusable=True)
    assert [str(join(t, number, key).ipv4) for number in (2, 3)] == ["100.81.0.0", "100.81.0.1"]
    assert str(join(t, 4, make_key(t, "bo")).ipv4) == "100.64.0.2", "nobody else does"
    with pytest.raises(Exhausted, match="ipPool"):
        join(t, 5, key)
    t.enforce(policy(nodeAttrs=[{"target": ["*"], "ipPool": ["100.82.0.0/16"]}]))
    assert t.nodes[first.id].ipv4 == first.ipv4, "who has an address keeps it"
    again = settle_node(t, Login(machine(1), register_request(11), Owner(user_id=first.user_id)), NOW)
    assert again.node.ipv4 == first.ipv4


def test_tagged_nodes_do_not_expire() -> None:
    t = make_tailnet(node_expiry=60.0)
    assert join(t, 1, make_key(t, tags=("tag:ci",))).expires_at is None
    assert join(t, 2, make_key(t)).expires_at == NOW + 60
