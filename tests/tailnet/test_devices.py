from __future__ import annotations

import pytest

from meshbox.errors import Conflict, Invalid, NotFound
from meshbox.tailnet import devices
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, make_key, make_tailnet, node_key


@pytest.fixture
def t() -> Tailnet:
    return make_tailnet()


def test_a_rename_is_checked_and_kept(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    first, second = join(t, 1, key), join(t, 2, key)
    assert (first.name, second.name) == ("lab", "lab-1")
    assert devices.rename(t, first.id, "NAS", "test", NOW).name == "nas"
    for bad in ("", "a b", "-x", "x" * 64, "ü", "a.b"):
        with pytest.raises(Invalid):
            devices.rename(t, first.id, bad, "test", NOW)
    with pytest.raises(Conflict):
        devices.rename(t, second.id, "nas", "test", NOW)
    with pytest.raises(NotFound):
        devices.rename(t, 99, "x", "test", NOW)
    assert t.nodes[second.id] == second


def test_expiring_now_cuts_the_relay_and_never_lets_it_back(t: Tailnet) -> None:
    node = join(t, 1, make_key(t))
    devices.expire(t, node.id, NOW, "test", NOW)
    assert not t.admits(node_key(1), NOW)
    devices.never_expire(t, node.id, "test", NOW)
    assert t.admits(node_key(1), NOW)


def test_tagging_takes_the_owner_and_the_expiry(t: Tailnet) -> None:
    node = join(t, 1, make_key(t))
    tagged = devices.set_tags(t, node.id, ["tag:b", "tag:a", "tag:a"], "test", NOW)
    assert (tagged.tags, tagged.user_id) == (("tag:a", "tag:b"), None)
    with pytest.raises(Invalid):
        devices.set_tags(t, node.id, [], "test", NOW)
    with pytest.raises(Invalid):
        devices.set_tags(t, node.id, ["tag:Bad"], "test", NOW)
    back = devices.set_owner(t, node.id, t.by_user_name["ana"], "test", NOW)
    assert (back.tags, back.user_id) == ((), t.by_user_name["ana"])


def test_a_deleted_node_frees_its_name_and_never_its_id(t: Tailnet) -> None:
    key = make_key(t, reusable=True)
    node = join(t, 1, key)
    devices.delete(t, node.id, "test", NOW)
    again = join(t, 2, key)
    assert again.name == "lab" and again.id > node.id
