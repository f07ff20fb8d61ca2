from __future__ import annotations

from meshbox.tailnet import devices, users
from meshbox.tailnet.access import world_of
from meshbox.tailnet.users import UserWish
from tests.tailnet.build import NOW, join, make_key, make_tailnet


def test_nodes_become_devices_of_their_owners_or_tags() -> None:
    t = make_tailnet()
    node, server = join(t, 1, make_key(t, "ana")), join(t, 2, make_key(t, "ana"))
    devices.set_tags(t, server.id, ["tag:db"], "test", NOW)
    world = world_of(t)
    assert {person.name for person in world.people.values()} == {"ana"}
    assert world.devices[node.id].user_id == node.user_id and world.devices[node.id].ipv4 == node.ipv4
    assert world.devices[server.id].tags == ("tag:db",) and world.devices[server.id].user_id is None


def test_people_have_their_roles_and_groups() -> None:
    t = make_tailnet()
    ana = users.create(t, UserWish("ana", email="ana@example.com"), "test", NOW)
    users.set_role(t, ana.id, "admin", "test", NOW)
    users.set_groups(t, ana.id, ["group:ops"], "test", NOW)
    (person,) = world_of(t).people.values()
    assert (person.login, person.role, person.groups) == ("ana@example.com", "admin", {"group:ops"})
