from __future__ import annotations

import pytest

from meshbox.errors import Conflict, Invalid
from meshbox.tailnet import devices, users
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import UserWish
from tests.tailnet.build import NOW, join, make_key, make_tailnet


@pytest.fixture
def t() -> Tailnet:
    return make_tailnet()


def test_a_user_with_nodes_stays(t: Tailnet) -> None:
    node = join(t, 1, make_key(t))
    user_id = t.by_user_name["ana"]
    with pytest.raises(Conflict):
        users.delete(t, user_id, "test", NOW)
    devices.delete(t, node.id, "test", NOW)
    users.delete(t, user_id, "test", NOW)
    assert not t.users and not t.auth_keys and not t.by_user_name


@pytest.mark.parametrize("name", ["", "a b", "x" * 64, "<b>", "tagged-devices", "../x"])
def test_bad_user_names(t: Tailnet, name: str) -> None:
    with pytest.raises(Invalid):
        users.create(t, UserWish(name), "test", NOW)


def test_a_user_name_is_unique_and_renames_follow(t: Tailnet) -> None:
    user = users.create(t, UserWish("ana"), "test", NOW)
    with pytest.raises(Conflict):
        users.create(t, UserWish("ana"), "test", NOW)
    assert users.rename(t, user.id, "bo", "test", NOW).name == "bo"
    assert "ana" not in t.by_user_name


def test_role_and_groups_are_kept_audited_and_unchanged_when_equal(t: Tailnet) -> None:
    user = users.create(t, UserWish("ana"), "test", NOW)
    assert (user.role, user.groups) == ("member", ())
    users.set_role(t, user.id, "network-admin", "test", NOW)
    changed = users.set_groups(t, user.id, ["group:b", "group:a", "group:b"], "test", NOW)
    assert (changed.role, changed.groups) == ("network-admin", ("group:a", "group:b"))
    before = len(t.store.since(0))
    assert users.set_groups(t, user.id, ["group:a", "group:b"], "test", NOW) == changed
    assert users.set_role(t, user.id, "network-admin", "test", NOW) == changed
    assert len(t.store.since(0)) == before
    assert users.set_groups(t, user.id, [], "test", NOW).groups == ()


@pytest.mark.parametrize("group", ["ops", "group:", "group:a b", "group:" + "x" * 129, "group:a,b", "tag:a"])
def test_bad_groups(t: Tailnet, group: str) -> None:
    user = users.create(t, UserWish("ana"), "test", NOW)
    with pytest.raises(Invalid, match="is not a group"):
        users.set_groups(t, user.id, [group], "test", NOW)


def test_bad_roles(t: Tailnet) -> None:
    user = users.create(t, UserWish("ana"), "test", NOW)
    with pytest.raises(Invalid, match="there are owner, admin"):
        users.set_role(t, user.id, "root", "test", NOW)
