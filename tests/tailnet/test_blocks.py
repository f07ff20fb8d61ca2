from __future__ import annotations

from ipaddress import ip_network

import orjson
import pytest

from meshbox.policy.outlook import Outlook
from meshbox.policy.sight import View, bit
from meshbox.tailnet import devices, report
from meshbox.tailnet.blocks import BLOCK, STALE_AFTER, Blocks
from meshbox.tailnet.frames import ZSTD
from meshbox.tailnet.peers import Peers
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import NOW, join, machine, make_key, make_tailnet, map_request
from tests.tailnet.memory import inflate

COUNT = 2 * BLOCK + 10


@pytest.fixture(scope="module")
def filled() -> Tailnet:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    for number in range(1, COUNT + 1):
        join(t, number, key)
    return t


def read(blocks: Blocks, view: View, viewer: int, now: float = NOW) -> dict[int, dict[str, object]]:
    pieces = blocks.select(Outlook(view), viewer, ZSTD, now).pieces
    peers = orjson.loads(b"[" + b",".join(inflate(piece) for piece in pieces) + b"]")
    assert [peer["ID"] for peer in peers] == sorted(peer["ID"] for peer in peers)
    return {peer["ID"]: peer for peer in peers}


def test_every_viewer_gets_all_but_itself(filled: Tailnet) -> None:
    blocks = Blocks(filled, Peers(filled))
    for viewer in (1, BLOCK - 1, BLOCK, BLOCK + 1, COUNT):
        assert set(read(blocks, filled.everyone, viewer)) == set(filled.nodes) - {viewer}


def test_foreign_blocks_are_shared_objects(filled: Tailnet) -> None:
    blocks = Blocks(filled, Peers(filled))
    one = blocks.select(Outlook(filled.everyone), 1, ZSTD, NOW).pieces
    two = blocks.select(Outlook(filled.everyone), 2, ZSTD, NOW).pieces
    assert one[1] is two[1] and one[2] is two[2] and one[0] != two[0]


def test_a_view_never_gets_another_views_block(filled: Tailnet) -> None:
    blocks = Blocks(filled, Peers(filled))
    hidden = BLOCK + 5
    narrow = filled.everyone & ~bit(hidden)
    for view in (filled.everyone, narrow, filled.everyone, narrow):
        assert (hidden in read(blocks, view, 1)) == (view == filled.everyone)


def test_a_view_never_gets_another_views_routes(filled: Tailnet) -> None:
    blocks = Blocks(filled, Peers(filled))
    router, route = BLOCK + 5, ip_network("10.33.0.0/16")
    plain = Outlook(filled.everyone)
    routed = Outlook(filled.everyone, {router: (route,)}, bit(router))
    v6_only = Outlook(filled.everyone, shows_ipv4=False)
    for outlook in (plain, routed, v6_only, plain, routed, v6_only):
        pieces = blocks.select(outlook, 1, ZSTD, NOW).pieces
        peers = orjson.loads(b"[" + b",".join(inflate(piece) for piece in pieces) + b"]")
        (peer,) = [one for one in peers if one["ID"] == router]
        assert (str(route) in peer["AllowedIPs"]) == (outlook is routed)
        assert any("." in address for address in peer["Addresses"]) == (outlook is not v6_only)


def test_hard_facts_are_never_stale_and_hot_ones_only_for_a_moment() -> None:
    t = make_tailnet()
    key = make_key(t, reusable=True)
    for number in range(1, BLOCK + 3):
        join(t, number, key)
    blocks = Blocks(t, Peers(t))
    viewer, peer = BLOCK + 1, t.nodes[3]
    read(blocks, t.everyone, viewer)
    devices.rename(t, peer.id, "fresh", "test", NOW)
    assert str(read(blocks, t.everyone, viewer)[peer.id]["Name"]).startswith("fresh.")

    report.take(t, machine(3), map_request(3), NOW)
    read(blocks, t.everyone, viewer)
    report.take(t, machine(3), map_request(3, endpoints=["198.51.100.9:9"]), NOW)
    stale = blocks.select(Outlook(t.everyone), viewer, ZSTD, NOW + STALE_AFTER / 2)
    assert stale.cursor < t.changes.cursor
    after = read(blocks, t.everyone, viewer, NOW + STALE_AFTER)
    assert after[peer.id]["Endpoints"] == ["198.51.100.9:9"]
    assert blocks.select(Outlook(t.everyone), viewer, ZSTD, NOW + STALE_AFTER).cursor == t.changes.cursor


def test_the_cache_forgets_the_oldest(filled: Tailnet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("meshbox.tailnet.blocks.CACHE_BYTES", 60_000)
    blocks = Blocks(filled, Peers(filled))
    for hidden in range(BLOCK, BLOCK + 100):
        blocks.select(Outlook(filled.everyone & ~bit(hidden)), 1, ZSTD, NOW)
    assert blocks._bytes <= 60_000
    assert blocks._bytes == sum(len(block.piece) for block in blocks._cache.values())
