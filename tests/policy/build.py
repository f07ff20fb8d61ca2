"""A small tailnet that most tests of the policy engine share."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.document import Document
from meshbox.policy.reading import read
from meshbox.policy.words import Known
from meshbox.policy.world import Device, Person, World
from meshbox.wire import hujson

PEOPLE = {
    1: Person(1, "ana@example.com", "ana", "owner"),
    2: Person(2, "bob@example.com", "bob", "admin"),
    3: Person(3, "cyd@example.org", "cyd", groups=frozenset({"group:ops@example.com"})),
}
DOMAINS = frozenset({"example.com"})
TAG_OWNERS = {"tag:web": ["ana@example.com"], "tag:router": ["tag:web"], "tag:exit": []}


def device(number: int, *tags: str, user: int | None = None, routes: tuple[str, ...] = ()) -> Device:
    prefixes = tuple(map(ip_network, routes))
    return Device(
        id=number,
        user_id=user,
        tags=tags,
        ipv4=IPv4Address(f"100.64.0.{number}"),
        ipv6=IPv6Address(f"fd7a:115c:a1e0::{number:x}"),
        advertised=prefixes,
        routes=prefixes,
        created=float(number),
    )


ANA, ANAS_PHONE, BOB, CYD, WEB, ROUTER, SPARE, EXIT = range(1, 9)
DEVICES = (
    device(ANA, user=1),
    device(ANAS_PHONE, user=1),
    device(BOB, user=2),
    device(CYD, user=3),
    device(WEB, "tag:web"),
    device(ROUTER, "tag:router", routes=("10.33.0.0/16",)),
    device(SPARE, "tag:router", "tag:web", routes=("10.33.0.0/16",)),
    device(EXIT, "tag:exit", routes=("0.0.0.0/0", "::/0")),
)


def world(*devices_: Device) -> World:
    return World(PEOPLE, {one.id: one for one in devices_ or DEVICES}, DOMAINS)


def document(policy: dict[str, Any] | None = None, **sections: Any) -> Document:
    text = json.dumps({"tagOwners": TAG_OWNERS, **(policy or {}), **sections})
    return read(hujson.parse(text), Known(DOMAINS, world().groups()))


def compiled(**sections: Any) -> Compiled:
    return compile_policy(document(**sections), world())


def acl(src: str, dst: str, **more: Any) -> dict[str, Any]:
    return {"action": "accept", "src": src.split(), "dst": dst.split(), **more}


def grant(src: str, dst: str, ip: str = "*", **more: Any) -> dict[str, Any]:
    return {"src": src.split(), "dst": dst.split(), "ip": ip.split(), **more}
