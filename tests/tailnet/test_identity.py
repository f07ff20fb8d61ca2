from __future__ import annotations

from meshbox.tailnet.identity import Login, Owner, free_label, settle_node
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, register_request


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


def test_tagged_nodes_do_not_expire() -> None:
    t = make_tailnet(node_expiry=60.0)
    assert join(t, 1, make_key(t, tags=("tag:ci",))).expires_at is None
    assert join(t, 2, make_key(t)).expires_at == NOW + 60
