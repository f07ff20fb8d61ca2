from __future__ import annotations

import orjson
import pytest

from meshbox.tailnet import devices, enrol, report
from meshbox.tailnet.changes import LOG_LENGTH, Fact
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.derpmap import DerpMap, DerpNode, Region
from tests.tailnet.build import (
    NOW,
    allow,
    disco,
    join,
    machine,
    make_key,
    make_tailnet,
    map_request,
    node_key,
    policy,
    register_request,
)
from tests.tailnet.memory import PaperClient


class Pair:
    """Two nodes; the first one watches."""

    def __init__(self, t: Tailnet) -> None:
        key = make_key(t, reusable=True)
        self.t, self.mapper = t, Mapper(t)
        self.viewer, self.peer = join(t, 1, key), join(t, 2, key)
        for number in (1, 2):
            report.take(t, machine(number), map_request(number), NOW)
        self.client, self.poll = PaperClient(), Poll(self.mapper, self.viewer, "zstd")
        self.client.feed(self.poll.first(NOW))

    def hear(self) -> list[dict[str, object]]:
        return self.client.feed(self.poll.next(NOW))


@pytest.fixture
def pair() -> Pair:
    return Pair(make_tailnet())


def test_the_first_message_is_complete(pair: Pair) -> None:
    client = pair.client
    assert client.messages == 1
    assert client.self_node["MachineAuthorized"] is True
    assert client.self_node["Name"] == "lab.mesh.example.org."
    peer = client.peers[pair.peer.id]
    assert peer["Online"] is False and peer["HomeDERP"] == 999 and peer["DERP"] == "127.3.3.40:999"
    assert peer["AllowedIPs"] == peer["Addresses"] == ["100.64.0.2/32", "fd7a:115c:a1e0::2/128"]
    assert set(client.profiles) == {pair.t.by_user_name["ana"]}
    assert client.dns["Proxied"] is True


def test_allow_all_is_written_out(pair: Pair) -> None:
    first = PaperClient()
    (message,) = first.feed(Poll(pair.mapper, pair.viewer, "zstd").first(NOW))
    assert first.filter == [
        {
            # ChromeOS keeps its virtual machines in the gap; clients do not count it as the tailnet's.
            "SrcIPs": ["100.115.94.0-100.127.255.255", "100.64.0.0-100.115.91.255", "fd7a:115c:a1e0::/48"],
            "DstPorts": [{"IP": "*", "Ports": {"First": 0, "Last": 65535}}],
        }
    ]
    assert message["SSHPolicy"] == {"rules": []}
    assert message["Debug"] == {"DisableLogTail": True}


def test_uncompressed_is_the_same_document(pair: Pair) -> None:
    plain = PaperClient()
    plain.feed(Poll(pair.mapper, pair.viewer, "").first(NOW), compressed=False)
    assert plain.peers == pair.client.peers and plain.self_node == pair.client.self_node


def test_nothing_new_is_nothing(pair: Pair) -> None:
    assert pair.poll.next(NOW) == [] and not pair.poll.is_behind


def test_an_endpoint_change_is_one_small_patch(pair: Pair) -> None:
    report.take(pair.t, machine(2), map_request(2, endpoints=["198.51.100.1:1"]), NOW)
    (message,) = pair.hear()
    assert set(message) == {"PeersChangedPatch"}
    assert pair.client.peers[pair.peer.id]["Endpoints"] == ["198.51.100.1:1"]


def test_hot_and_rare_news_never_share_a_message(pair: Pair) -> None:
    pair.t.presence.enter(pair.peer.id)
    fresh = map_request(2, endpoints=["198.51.100.1:1"], disco=9)
    report.take(pair.t, machine(2), fresh, NOW)
    hot, rare = pair.hear()
    assert set(hot["PeersChangedPatch"][0]) == {"NodeID", "Endpoints", "Online", "DERPRegion"}  # type: ignore[index]
    assert set(rare["PeersChangedPatch"][0]) == {"NodeID", "Key", "KeyExpiry", "DiscoKey", "Cap"}  # type: ignore[index]
    assert pair.client.peers[pair.peer.id]["DiscoKey"] == str(disco(9))


def test_nobody_is_told_of_itself_as_a_peer(pair: Pair) -> None:
    report.take(pair.t, machine(1), map_request(1, endpoints=["198.51.100.1:1"], disco=8), NOW)
    assert pair.hear() == []
    devices.rename(pair.t, pair.viewer.id, "renamed", "test", NOW)
    (message,) = pair.hear()
    assert "PeersChanged" not in message and pair.client.self_node["Name"] == "renamed.mesh.example.org."


def test_losing_the_last_peer_is_said(pair: Pair) -> None:
    devices.delete(pair.t, pair.peer.id, "test", NOW)
    (message,) = pair.hear()
    assert message == {"PeersRemoved": [pair.peer.id]} and pair.client.peers == {}


def test_a_deleted_viewer_is_logged_out_and_its_stream_ends(pair: Pair) -> None:
    devices.delete(pair.t, pair.viewer.id, "test", NOW)
    pair.hear()
    assert pair.poll.is_over
    assert str(pair.client.self_node["KeyExpiry"]) < "2023-11-14T22:13:20Z"


def test_a_hidden_peer_is_removed_before_anything_else_is_said(pair: Pair) -> None:
    pair.t.enforce(policy(acls=[]))
    report.take(pair.t, machine(2), map_request(2, endpoints=["198.51.100.1:1"]), NOW)
    messages = pair.hear()
    assert pair.client.peers == {} and pair.client.filter == []
    assert "198.51.100.1" not in str(messages)


def test_a_cursor_that_fell_off_gets_a_full_map(pair: Pair) -> None:
    for _ in range(LOG_LENGTH + 1):
        pair.t.changes.append(pair.peer.id, Fact.ONLINE)
    (message,) = pair.hear()
    assert "Peers" in message and not pair.poll.is_behind


def test_a_new_relay_map_reaches_everybody_once(pair: Pair) -> None:
    derp_map = DerpMap((Region(900, "lab", "Lab", (DerpNode("900a", "relay.example.org"),)),))
    pair.t.set_derp_map(derp_map)
    pair.t.set_derp_map(derp_map)
    (message,) = pair.hear()
    assert set(message) == {"DERPMap"}


def test_sessions_at_the_same_point_share_one_encoding(pair: Pair) -> None:
    key = make_key(pair.t, reusable=True)
    others = [Poll(pair.mapper, join(pair.t, number, key), "zstd") for number in (3, 4)]
    for poll in others:
        poll.first(NOW)
    report.take(pair.t, machine(2), map_request(2, endpoints=["198.51.100.1:1"]), NOW)
    (one,), (two,) = (poll.next(NOW) for poll in others)
    assert one is two


def test_a_rotated_key_is_a_patch_with_its_expiry(pair: Pair) -> None:
    enrol.register(
        pair.t, machine(2), register_request(22, auth_key=make_key(pair.t), old=2), "192.0.2.1", NOW
    )
    messages = pair.hear()
    assert [set(message) for message in messages] == [{"PeersChangedPatch"}]
    patch = orjson.loads(orjson.dumps(messages[0]))["PeersChangedPatch"][0]
    assert patch["Key"] == str(node_key(22)) and patch["KeyExpiry"] == "0001-01-01T00:00:00Z"


def test_an_expired_node_alone_hears_of_its_filter_at_once(pair: Pair) -> None:
    """It is shown nobody, so its sight does not bring the policy up to date."""
    t = pair.t
    t.enforce(policy(tagOwners={"tag:db": []}, acls=[allow("tag:db", "ana@:22")]))
    devices.expire(t, pair.viewer.id, NOW, "test", NOW)
    pair.hear()
    assert not pair.client.filter
    devices.set_tags(t, pair.peer.id, ["tag:db"], "test", NOW)
    pair.hear()
    assert pair.client.filter[0]["SrcIPs"] == ["100.64.0.2", "fd7a:115c:a1e0::2"]
