"""A fake node: keys, registration, map polls, and the netmap as the official client would keep it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field
from typing import Any

from tests.fake.client import CAPVER, Answer, MapStream, Tunnel
from tests.fake.noise import public_of

ZERO_KEY = "nodekey:" + "0" * 64

PATCHED = {
    "DERPRegion": "HomeDERP",
    "Cap": "Cap",
    "CapMap": "CapMap",
    "Endpoints": "Endpoints",
    "Key": "Key",
    "DiscoKey": "DiscoKey",
    "Online": "Online",
    "LastSeen": "LastSeen",
    "KeyExpiry": "KeyExpiry",
}


@dataclass
class Netmap:
    """What a client believes. `apply` follows the client's rules, in its order."""

    node: dict[str, Any] | None = None
    peers: dict[int, dict[str, Any]] = field(default_factory=dict)
    users: dict[int, dict[str, Any]] = field(default_factory=dict)
    dns: dict[str, Any] | None = None
    derp: dict[str, Any] | None = None
    chunks: dict[str, list[Any]] = field(default_factory=dict)
    messages: int = 0
    keepalives: int = 0

    @property
    def filter(self) -> list[Any]:
        return [rule for chunk in self.chunks.values() for rule in chunk]

    def apply(self, message: dict[str, Any]) -> None:
        if message.get("KeepAlive"):
            self.keepalives += 1
            return
        self.messages += 1
        assert self.node is not None or message.get("Node"), "initial MapResponse lacked node"
        self.node = message.get("Node") or self.node
        self.dns = message.get("DNSConfig") or self.dns
        self.derp = message.get("DERPMap") or self.derp
        for name, chunk in (message.get("PacketFilters") or {}).items():
            self.chunks = {} if name == "*" else {**self.chunks, name: chunk or []}
        for user in message.get("UserProfiles") or ():
            self.users[user["ID"]] = user
        if message.get("Peers"):
            self.peers = {peer["ID"]: peer for peer in message["Peers"]}
            return
        for gone in message.get("PeersRemoved") or ():
            self.peers.pop(gone, None)
        for peer in message.get("PeersChanged") or ():
            self.peers[peer["ID"]] = peer
        for node_id, online in (message.get("OnlineChange") or {}).items():
            if int(node_id) in self.peers:
                self.peers[int(node_id)]["Online"] = online
        for patch in message.get("PeersChangedPatch") or ():
            peer = self.peers.get(patch["NodeID"])
            if peer is not None:
                peer.update({PATCHED[name]: value for name, value in patch.items() if name in PATCHED})

    def peer(self, hostname: str) -> dict[str, Any] | None:
        return next((peer for peer in self.peers.values() if peer["Name"].split(".")[0] == hostname), None)


class FakeNode:
    """One device. `door` is (host, port, server's Noise public key)."""

    def __init__(self, door: tuple[str, int, bytes], hostname: str, version: int = CAPVER) -> None:
        self.door, self.hostname, self.version = door, hostname, version
        self.machine = os.urandom(32)
        self.node_key = "nodekey:" + os.urandom(32).hex()
        self.disco_key = "discokey:" + os.urandom(32).hex()
        self.endpoints = ["192.0.2.7:41641"]
        self.home_derp = 999
        self.map = Netmap()
        self.tunnel: Tunnel | None = None
        self.poll: MapStream | None = None
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.ended_with = ""

    @property
    def machine_key(self) -> str:
        return "mkey:" + public_of(self.machine).hex()

    def hostinfo(self) -> dict[str, Any]:
        return {
            "OS": "linux",
            "Hostname": self.hostname,
            "IPNVersion": "1.102.5-t1-g1",
            "NetInfo": {"PreferredDERP": self.home_derp, "WorkingUDP": True},
            "Services": [{"Proto": "peerapi4", "Port": 4711}],
        }

    async def connect(self) -> Tunnel:
        if self.tunnel is None or self.tunnel.closed.is_set():
            self.tunnel = await Tunnel.open(*self.door, self.machine, self.version)
        return self.tunnel

    def register_request(self, auth_key: str = "", **fields: Any) -> dict[str, Any]:
        request: dict[str, Any] = {
            "Version": self.version,
            "NodeKey": self.node_key,
            "OldNodeKey": ZERO_KEY,
            "Expiry": "0001-01-01T00:00:00Z",
            "Hostinfo": {key: value for key, value in self.hostinfo().items() if key != "NetInfo"},
        }
        if auth_key:
            request["Auth"] = {"AuthKey": auth_key}
        return request | fields

    async def register(self, auth_key: str = "", within: float = 10.0, **fields: Any) -> Answer:
        tunnel = await self.connect()
        request = self.register_request(auth_key, **fields)
        return await tunnel.request("POST", "/machine/register", request, within)

    def map_request(self, **fields: Any) -> dict[str, Any]:
        request = {
            "Version": self.version,
            "Compress": "zstd",
            "KeepAlive": True,
            "NodeKey": self.node_key,
            "DiscoKey": self.disco_key,
            "Endpoints": self.endpoints,
            "EndpointTypes": [2] * len(self.endpoints),
            "Hostinfo": self.hostinfo(),
            "Stream": True,
        }
        return request | fields

    async def listen(self, **fields: Any) -> MapStream:
        """Open the long poll, wait for the first map, and keep the netmap up to date from then on."""
        await self.stop_listening()
        tunnel = await self.connect()
        self.poll = await tunnel.map_stream(self.map_request(**fields))
        self.map = Netmap()
        self.map.apply(await self.poll.next(30))
        self._task = asyncio.create_task(self._follow(self.poll))
        return self.poll

    async def _follow(self, poll: MapStream) -> None:
        try:
            while True:
                # Without a time limit: up to Python 3.11 `wait_for` loses a cancellation that comes
                # together with what it waits for.
                message = await poll.next(None)
                self.map.apply(message)
                self._news.set()
        except EOFError as end:
            self.ended_with = str(end)
            self._news.set()

    async def until(self, true: Any, within: float = 5.0) -> None:
        """Wait until `true(netmap)` holds; the assertion names what the map was instead."""
        try:
            async with asyncio.timeout(within):
                while not true(self.map):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"{self.hostname} was never told; its peers: {self.map.peers}") from None

    async def lite(self, **fields: Any) -> Answer:
        tunnel = await self.connect()
        request = self.map_request(Stream=False, OmitPeers=True, **fields)
        return await tunnel.request("POST", "/machine/map", request)

    async def stop_listening(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def close(self) -> None:
        await self.stop_listening()
        if self.tunnel is not None:
            await self.tunnel.close()
