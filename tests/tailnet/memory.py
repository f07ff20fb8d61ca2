"""A store in memory and a client on paper: the tailnet's outside world for tests without SQL or sockets."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import zstandard

from meshbox.errors import Conflict
from meshbox.tailnet.model import ApiKey, AuthKey, Node, Notice, PolicyEntry, PolicyVersion, Report, User
from meshbox.tailnet.ports import Committed, Delete, Kind, Put, Saved, Spend, Step


class MemoryStore:
    """Keeps what it is given, with the constraints the real store has."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, Any]] = {
            kind: {} for kind in ("user", "node", "auth_key", "api_key", "policy", "notice")
        }
        self.reports: dict[int, Report] = {}
        self.ids: dict[str, int] = {}
        self.log: list[Committed] = []
        self.fail_with: Exception | None = None

    def load(self) -> Saved:
        return Saved(
            len(self.log),
            list(self.rows["user"].values()),
            list(self.rows["node"].values()),
            dict(self.reports),
            list(self.rows["auth_key"].values()),
            list(self.rows["api_key"].values()),
            max(self.rows["policy"].values(), key=lambda version: version.id, default=None),
            list(self.rows["notice"].values()),
        )

    def new_id(self, kind: Kind) -> int:
        self.ids[kind] = self.ids.get(kind, 0) + 1
        return self.ids[kind]

    def commit(self, steps: Sequence[Step]) -> int:
        if self.fail_with is not None:
            raise self.fail_with
        rows = {kind: dict(table) for kind, table in self.rows.items()}
        for step in steps:
            self._do(rows, step)
        keys = [node.node_key for node in rows["node"].values()]
        if len(keys) != len(set(keys)):
            raise Conflict("node key already in use")
        self.rows = rows
        self.log.append(Committed(len(self.log) + 1, tuple(steps)))
        return len(self.log)

    @staticmethod
    def _do(rows: dict[str, dict[int, Any]], step: Step) -> None:
        if isinstance(step, Put):
            kinds = {
                User: "user",
                Node: "node",
                AuthKey: "auth_key",
                ApiKey: "api_key",
                PolicyVersion: "policy",
                Notice: "notice",
            }
            if isinstance(step.value, PolicyVersion) and step.value.id in rows["policy"]:
                raise Conflict(f"there is already a version {step.value.id} of the policy")
            rows[kinds[type(step.value)]][step.value.id] = step.value
        elif isinstance(step, Delete):
            rows[step.kind].pop(step.id, None)
        elif isinstance(step, Spend):
            key = rows["auth_key"][step.auth_key_id]
            if key.used_at is not None:
                raise Conflict("this one-off pre-auth key was already used")
            rows["auth_key"][step.auth_key_id] = replace(key, used_at=step.at)

    def flush(self, reports: Mapping[int, Report]) -> None:
        self.reports.update({i: r for i, r in reports.items() if i in self.rows["node"]})

    def policy_versions(self, limit: int) -> Sequence[PolicyEntry]:
        newest = sorted(self.rows["policy"].values(), key=lambda version: -version.id)[:limit]
        return [PolicyEntry(one.id, one.actor, one.created_at, one.note, len(one.text)) for one in newest]

    def policy_version(self, version_id: int) -> PolicyVersion | None:
        return self.rows["policy"].get(version_id)

    def since(self, generation: int) -> Sequence[Committed]:
        return self.log[generation:]


class Dice:
    """Entropy that is the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        self.count = seed

    def __call__(self, size: int) -> bytes:
        self.count += 1
        return hashlib.shake_128(self.count.to_bytes(8, "big")).digest(size)


@dataclass
class PaperClient:
    """Applies map messages as an official client does and remembers what it was told."""

    self_node: dict[str, Any] = field(default_factory=dict)
    peers: dict[int, dict[str, Any]] = field(default_factory=dict)
    profiles: dict[int, dict[str, Any]] = field(default_factory=dict)
    dns: dict[str, Any] = field(default_factory=dict)
    derp_map: dict[str, Any] = field(default_factory=dict)
    chunks: dict[str, list[Any]] = field(default_factory=dict)
    ssh: dict[str, Any] = field(default_factory=dict)
    ever_told: set[int] = field(default_factory=set)
    messages: int = 0

    def feed(self, parts: Sequence[bytes], compressed: bool = True) -> list[dict[str, Any]]:
        data = b"".join(parts)
        seen = []
        while data:
            (length,) = struct.unpack_from("<I", data)
            body, data = data[4 : 4 + length], data[4 + length :]
            assert len(body) == length
            message = orjson.loads(inflate(body) if compressed else body)
            self.apply(message)
            seen.append(message)
        return seen

    @property
    def filter(self) -> list[Any]:
        return [rule for name in sorted(self.chunks) for rule in self.chunks[name]]

    def apply(self, message: dict[str, Any]) -> None:
        self.messages += 1
        if self.messages == 1:
            assert message.get("Node"), "the first message must contain Node"
        self.self_node = message.get("Node") or self.self_node
        self.dns = message.get("DNSConfig", self.dns)
        self.derp_map = message.get("DERPMap") or self.derp_map
        for name, chunk in (message.get("PacketFilters") or {}).items():
            if name == "*":
                self.chunks.clear()
            elif chunk is None:
                del self.chunks[name]
            else:
                self.chunks[name] = chunk
        self.ssh = message.get("SSHPolicy") or self.ssh
        for profile in message.get("UserProfiles") or ():
            self.profiles[profile["ID"]] = profile
        if message.get("Peers"):
            self.peers = {peer["ID"]: peer for peer in message["Peers"]}
            self.ever_told |= set(self.peers)
            return
        if message.get("Peers") == [] and self.messages == 1:
            self.peers = {}
        for node_id in message.get("PeersRemoved") or ():
            self.peers.pop(node_id, None)
        for peer in message.get("PeersChanged") or ():
            self.peers[peer["ID"]] = peer
            self.ever_told.add(peer["ID"])
        for patch in message.get("PeersChangedPatch") or ():
            self._patch(patch)

    def _patch(self, patch: dict[str, Any]) -> None:
        self.ever_told.add(patch["NodeID"])
        peer = self.peers.get(patch["NodeID"])
        if peer is None:
            return
        names = {"DERPRegion": "HomeDERP"}
        for name, value in patch.items():
            if name != "NodeID":
                peer[names.get(name, name)] = value


def inflate(body: bytes) -> bytes:
    """All zstd frames of a body, as the client's decoder takes them."""
    out = []
    while body:
        decoder = zstandard.ZstdDecompressor().decompressobj()
        out.append(decoder.decompress(body))
        body = decoder.unused_data
    return b"".join(out)
