"""What one node reports: what of it reaches its peers, and what the server says to nonsense.

Headscale: 600 KB to every peer, and 500 for a map request it cannot read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fake.client import MapStream, decode
from tests.fake.node import FakeNode
from tests.hostile.stand import standing, watched

PEER_BYTES = 16 * 1024
"""What one node can make each of its peers receive and hold, as JSON."""

ENDPOINTS, SERVICES, HOST_KEYS = 64, 16, 16
WIDE = "\U0001f980"
"""Four bytes of JSON in one character."""


def everything() -> dict[str, Any]:
    """A report with all that peers are shown, many times more than any sound client has, within the
    64 KiB that are read (services and routes do not count: they are cut first)."""
    return {
        "OS": WIDE * 900,
        "Hostname": WIDE * 900,
        "IPNVersion": "1" * 4000,
        "Services": [{"Proto": "peerapi4", "Port": 1 + number} for number in range(4000)]
        + [{"Proto": "x" * 2000, "Port": 1, "Description": "y" * 2000}],
        "sshHostKeys": ["ssh-ed25519 " + chr(65 + number % 26) * 900 for number in range(40)],
        "Location": dict.fromkeys(("Country", "CountryCode", "City", "CityCode"), WIDE * 200),
        "AppConnector": True,
        "ShareeNode": True,
        "RoutableIPs": [f"10.{number >> 8}.{number & 255}.0/24" for number in range(200)],
        "RequestTags": [f"tag:{number}-" + "t" * 55 for number in range(50)],
        "NetInfo": {"PreferredDERP": 999},
    }


def many_endpoints() -> list[str]:
    return [f"[2001:db8:aaaa:bbbb:cccc:dddd:eeee:{number:x}]:65535" for number in range(0x1000, 0x2000)]


async def test_at_most_16_kb_of_a_node_reach_its_peers(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand, watched(stand):
        key = await stand.auth_key("--reusable")
        listener, loud = await stand.joined("listener", key), await stand.joined("loud", key)
        # Plain JSON, so that bytes are counted as they are held.
        await listener.stop_listening()
        poll = await (await listener.connect()).map_stream(listener.map_request(Compress=""))
        before = len(await poll.next_raw())
        sizes = {}
        for name, hostinfo in reports().items():
            loud.endpoints = many_endpoints()[len(sizes) :]
            answer = await loud.lite(Hostinfo=hostinfo)
            assert answer.status == 200, answer
            raw = await next_about(poll, b'PeersChanged"')
            sizes[name] = len(raw)
            check_peer(peer_in(decode(raw, compressed=False)))
        print(f"bytes of a delta: {sizes}")
        answer = await loud.lite(Hostinfo=everything() | {"Rest": "x" * 65_536})
        assert (answer.status, answer.body[:13]) == (400, b"Hostinfo has "), answer
        assert max(sizes.values()) <= PEER_BYTES, sizes
        newcomer = stand.node("newcomer")
        assert (await newcomer.register(key)).status == 200
        poll = await (await newcomer.connect()).map_stream(newcomer.map_request(Compress=""))
        raw = await poll.next_raw()
        peer = peer_in(decode(raw, compressed=False))
        check_peer(peer)
        whole = len(json.dumps(peer, ensure_ascii=False, separators=(",", ":")).encode())
        print(f"bytes in a full map: {whole}, with {len(peer['Endpoints'])} endpoints")
        assert whole <= PEER_BYTES and len(raw) <= before + 2 * PEER_BYTES
        for node in (listener, loud, newcomer):
            await node.close()


def reports() -> dict[str, dict[str, Any]]:
    keys = ["ssh-ed25519 " + chr(65 + number % 26) * (350 + number) for number in range(60)]
    quoted = '"\\' * 1000
    return {
        "everything": everything(),
        "services": {"Hostname": "loud", "Services": [{"Proto": "tcp", "Port": 80}] * 2000},
        "host keys": everything() | {"sshHostKeys": keys},
        "escapes": everything() | {"OS": quoted, "Hostname": quoted, "Location": {"City": quoted}},
        "control signs": everything() | {"OS": "\x01\x1f\u2028\x7f" * 200, "Hostname": "\x00" * 300},
    }


def peer_in(message: dict[str, Any]) -> dict[str, Any]:
    """The loud one: the largest."""
    peers: list[dict[str, Any]] = message.get("PeersChanged") or message["Peers"]
    return max(peers, key=lambda peer: len(json.dumps(peer)))


async def next_about(poll: MapStream, word: bytes) -> bytes:
    """The next message that says this; the healthy nodes' patches pass by."""
    while word not in (raw := await poll.next_raw()):
        pass
    return raw


def check_peer(peer: dict[str, Any]) -> None:
    """Capped, and of the types that a client in Go can read: one wrong one costs it the whole map."""
    info = peer["Hostinfo"]
    assert len(peer["Endpoints"]) == ENDPOINTS and all(type(one) is str for one in peer["Endpoints"])
    assert len(peer["Name"].split(".")[0]) <= 63
    services = info.get("Services", [])
    assert len(services) <= SERVICES
    assert all(set(one) == {"Proto", "Port"} and type(one["Port"]) is int for one in services)
    assert len(info.get("sshHostKeys", [])) <= HOST_KEYS
    assert len(info.get("Hostname", "")) <= 253 and "ShareeNode" not in info and "RequestTags" not in info


WRONG: tuple[Any, ...] = (
    1, -1, 2**31, 2**63, 2**80, 1.5, 1e300, "", "x", "\ud800", "x" * 100_000, True, False, None,
    [], [1], [None], [[]], [{}], ["x"] * 5000, {}, {"": ""}, {"a": {"b": []}}, [[[[]]]],
)  # fmt: skip

REQUEST_FIELDS = (
    "Version", "NodeKey", "DiscoKey", "Endpoints", "EndpointTypes", "Hostinfo", "Stream", "ReadOnly",
    "KeepAlive", "Compress", "TKAHead", "DebugFlags", "MapSessionHandle", "MapSessionSeq",
)  # fmt: skip
HOST_FIELDS = (
    "OS", "Hostname", "IPNVersion", "BackendLogID", "Services", "sshHostKeys", "RoutableIPs", "RequestTags",
    "NetInfo", "Location", "AppConnector", "ShareeNode", "Userspace", "WireIngress", "TPM",
)  # fmt: skip


def wrong_requests(node: FakeNode) -> Iterator[tuple[str, dict[str, Any]]]:
    base = node.map_request(Stream=False, OmitPeers=True)
    for field in REQUEST_FIELDS:
        for value in WRONG:
            if (field, value) != ("Stream", True):
                yield field, base | {field: value}
    for field in HOST_FIELDS:
        for value in WRONG:
            yield f"Hostinfo.{field}", base | {"Hostinfo": node.hostinfo() | {field: value}}
    for value in WRONG:
        yield "NetInfo.PreferredDERP", base | {"Hostinfo": {"NetInfo": {"PreferredDERP": value}}}


HORRORS = {
    "nothing": b"",
    "no JSON": b"hello",
    "no object": b"[1]",
    "null": b"null",
    "cut off": b'{"Version":142,"NodeKey":"nodekey:',
    "two documents": b"{}{}",
    "a megabyte of [": b"[" * (1 << 20),
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "NaN": b'{"Version":NaN}',
    "huge number": b'{"Version":' + b"9" * 300_000 + b"}",
    "huge exponent": b'{"Version":1e999999999}',
    "no UTF-8": b'{"NodeKey":"\xff\xfe"}',
    "lone surrogate": b'{"NodeKey":"\\ud800"}',
    "NUL": b'{"NodeKey":"\\u0000"}\x00',
    "byte order mark": b"\xef\xbb\xbf{}",
    "comment": b"{}//",
}
"""Bodies that no request is. tests/hostile/test_identity.py sends them to the registration too."""


async def test_malformed_map_requests_get_400_and_a_reason(tmp_path: Path) -> None:
    async with standing(tmp_path) as stand, watched(stand):
        key = await stand.auth_key("--reusable")
        node, peer = await stand.joined("broken", key), await stand.joined("peer", key)
        statuses: dict[int, int] = {}
        bodies = [(name, json.dumps(request).encode()) for name, request in wrong_requests(node)]
        for name, body in [*bodies, *HORRORS.items()]:
            answer = await (await node.connect()).request("POST", "/machine/map", body)
            assert answer.status in expected(name), (name, body[:200], answer)
            assert answer.status == 200 or answer.body.strip(), (name, body[:200], "no reason")
            assert b"Traceback" not in answer.body and len(answer.body) < 400, answer
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
        print(statuses)
        assert statuses[400] > 250, statuses
        assert not stand.lines("request_failed"), stand.lines("request_failed")[0]
        # None of it reached a peer in a form its client cannot read, and the node is what it was.
        node.endpoints = ["198.51.100.7:7"]
        await node.lite()
        await peer.until(lambda netmap: any(
            one.get("Endpoints") == node.endpoints and one["Hostinfo"]["Hostname"] == "broken"
            for one in netmap.peers.values()
        ))  # fmt: skip
        assert not peer.ended_with and not node.ended_with
        for one in (node, peer):
            await one.close()


def expected(name: str) -> set[int]:
    if name == "NodeKey":
        return {400, 404}
    return {400} if name in HORRORS else {200, 400}


@pytest.mark.parametrize("size, status", [(1 << 20, 400), ((1 << 20) + 1, 413)])
async def test_a_body_has_a_megabyte(tmp_path: Path, size: int, status: int) -> None:
    async with standing(tmp_path) as stand:
        node = stand.node("big")
        answer = await (await node.connect()).request("POST", "/machine/map", b"[" * size)
        assert answer.status == status and answer.body, answer
        await node.close()
