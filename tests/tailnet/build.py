"""Short ways to a tailnet with nodes in it."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import orjson

from meshbox.policy.document import Document
from meshbox.policy.reading import read
from meshbox.tailnet import authkeys, enrol, users
from meshbox.tailnet.authkeys import AuthKeyWish
from meshbox.tailnet.model import Node
from meshbox.tailnet.settings import DnsSettings, Settings
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import UserWish
from meshbox.wire import hujson
from meshbox.wire.derpmap import DerpMap
from meshbox.wire.keys import DiscoKey, MachineKey, NodeKey
from meshbox.wire.tailcfg import MapRequest, RegisterRequest, parse_map, parse_register
from tests.tailnet.memory import Dice, MemoryStore

NOW = 1_700_000_000.0


def policy(**sections: object) -> Document:
    """A policy of these sections, as a file would say it."""
    return read(hujson.parse(json.dumps(sections)))


def allow(src: str, *dst: str) -> dict[str, object]:
    """One acl."""
    return {"action": "accept", "src": [src], "dst": list(dst)}


def key_bytes(kind: str, number: int) -> bytes:
    return hashlib.blake2s(f"{kind}{number}".encode()).digest()


def machine(number: int) -> MachineKey:
    return MachineKey(key_bytes("machine", number))


def node_key(number: int) -> NodeKey:
    return NodeKey(key_bytes("node", number))


def disco(number: int) -> DiscoKey:
    return DiscoKey(key_bytes("disco", number))


def make_tailnet(store: MemoryStore | None = None, **settings: Any) -> Tailnet:
    settings.setdefault("dns", DnsSettings(base_domain="mesh.example.org"))
    return Tailnet(Settings(**settings), store or MemoryStore(), Dice(), DerpMap(()), NOW)


def make_key(t: Tailnet, name: str = "ana", **wish: Any) -> str:
    """The text of a new pre-auth key of the user, who is created if need be."""
    user_id = t.by_user_name.get(name)
    if user_id is None:
        user_id = users.create(t, UserWish(name), "test", NOW).id
    if not wish.get("tags"):
        wish["user_id"] = user_id
    return authkeys.create(t, AuthKeyWish(**wish), "test", NOW)[1]


def register_request(number: int, hostname: str = "lab", **fields: Any) -> RegisterRequest:
    """As a client writes it. `auth_key`, `old`, `followup`, `expiry`, `ephemeral`, `tags` are optional."""
    hostinfo: dict[str, Any] = {"Hostname": hostname, "OS": "linux", "IPNVersion": "1.102.5-t1-g1"}
    if "tags" in fields:
        hostinfo["RequestTags"] = list(fields["tags"])
    body: dict[str, Any] = {
        "Version": 142,
        "NodeKey": str(node_key(number)),
        "OldNodeKey": str(node_key(fields["old"]) if "old" in fields else NodeKey.zero()),
        "Expiry": fields.get("expiry", "0001-01-01T00:00:00Z"),
        "Followup": fields.get("followup", ""),
        "Hostinfo": hostinfo,
        "Ephemeral": fields.get("ephemeral", False),
    }
    if "auth_key" in fields:
        body["Auth"] = {"AuthKey": fields["auth_key"]}
    return parse_register(orjson.dumps(body))


def map_request(number: int, hostname: str = "lab", **fields: Any) -> MapRequest:
    """`endpoints`, `derp`, `disco`, `services`, `routes` are optional."""
    body = {
        "Version": fields.get("version", 142),
        "Compress": "zstd",
        "KeepAlive": True,
        "Stream": True,
        "NodeKey": str(node_key(number)),
        "DiscoKey": str(disco(fields.get("disco", number))),
        "Endpoints": fields.get("endpoints", ["192.0.2.1:41641"]),
        "Hostinfo": {
            "Hostname": hostname,
            "OS": "linux",
            "IPNVersion": "1.102.5-t1-g1",
            "NetInfo": {"PreferredDERP": fields.get("derp", 999)},
            "RoutableIPs": fields.get("routes", []),
            "Services": fields.get("services", [{"Proto": "peerapi4", "Port": 4711}]),
        },
    }
    return parse_map(orjson.dumps(body))


def join(t: Tailnet, number: int, key: str, hostname: str = "lab", now: float = NOW) -> Node:
    outcome = enrol.register(
        t, machine(number), register_request(number, hostname, auth_key=key), "192.0.2.9", now
    )
    assert isinstance(outcome, enrol.Accepted), outcome
    return outcome.node
