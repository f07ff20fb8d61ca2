from __future__ import annotations

from meshbox.tailnet import devices, users
from meshbox.tailnet.targets import names_of
from meshbox.tailnet.users import UserWish
from tests.tailnet.build import NOW, join, make_key, make_tailnet


def test_a_node_is_meant_by_its_name_its_owner_and_its_tags() -> None:
    t = make_tailnet()
    users.create(t, UserWish("ana", email="ana@example.org"), "test", NOW)
    node = join(t, 1, make_key(t), "lab")
    assert names_of(t, node) == {"node:lab", "user:ana", "user:ana@example.org"}
    tagged = devices.set_tags(t, node.id, ["tag:web"], "test", NOW)
    assert names_of(t, tagged) == {"node:lab", "tag:web"}
