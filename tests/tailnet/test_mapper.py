from __future__ import annotations

from meshbox.policy.sight import View, bit
from meshbox.tailnet import users
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from tests.tailnet.build import NOW, join, make_key, make_tailnet
from tests.tailnet.memory import PaperClient


class OnlyOwn:
    """A sight in which every node sees itself and the first node."""

    def view(self, viewer: int, everyone: View) -> View:
        return everyone & (bit(viewer) | bit(1))


def test_hidden_owners_stay_hidden_in_maps_and_in_news() -> None:
    t = make_tailnet()
    t.sight = OnlyOwn()
    ana, bo, eve = (join(t, n, make_key(t, name)) for n, name in enumerate(("ana", "bo", "eve"), 1))
    mapper = Mapper(t)
    client, poll = PaperClient(), Poll(mapper, bo, "zstd")
    client.feed(poll.first(NOW))
    assert set(client.peers) == {ana.id}
    users.rename(t, t.by_user_name["eve"], "mallory", "test", NOW)
    users.rename(t, t.by_user_name["ana"], "anna", "test", NOW)
    client.feed(poll.next(NOW))
    assert {profile["LoginName"] for profile in client.profiles.values()} == {"anna", "bo"}
    assert eve.id not in client.ever_told


def test_a_renamed_user_is_told_to_everybody_who_sees_a_node_of_theirs() -> None:
    t = make_tailnet()
    node = join(t, 1, make_key(t))
    client, poll = PaperClient(), Poll(Mapper(t), node, "zstd")
    client.feed(poll.first(NOW))
    users.rename(t, t.by_user_name["ana"], "anna", "test", NOW)
    client.feed(poll.next(NOW))
    fresh = PaperClient()
    fresh.feed(Poll(Mapper(t), node, "zstd").first(NOW))
    assert client.profiles == fresh.profiles
