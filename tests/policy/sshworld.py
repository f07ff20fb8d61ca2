"""A small tailnet for SSH rules, and what a client makes of the rules it is sent."""

from __future__ import annotations

import json
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from meshbox.policy.reading import read
from meshbox.policy.resolve import Resolver
from meshbox.policy.ssh import Ssh
from meshbox.policy.words import Known
from meshbox.policy.world import Device, Person, World
from meshbox.wire.hujson import parse

DOMAINS = frozenset({"example.com"})
ANA, BEN, CAT = 1, 2, 3
PEOPLE = {
    ANA: Person(ANA, "ana@example.com"),
    BEN: Person(BEN, "ben@elsewhere.org"),
    CAT: Person(CAT, "root@example.com"),
}


def device(number: int, user_id: int | None = None, tags: tuple[str, ...] = (), os: str = "linux") -> Device:
    return Device(
        number,
        user_id,
        tags,
        IPv4Address(f"100.64.0.{number}"),
        IPv6Address(f"fd7a:115c:a1e0::{number:x}"),
        attributes=(("node:os", os),),
    )


LAPTOP, PHONE, BENS, CATS = 1, 2, 3, 4
WEB, DB, BOTH, PLAIN = 5, 6, 7, 8
DEVICES = {
    one.id: one
    for one in (
        device(LAPTOP, ANA),
        device(PHONE, ANA, os="android"),
        device(BENS, BEN),
        device(CATS, CAT),
        device(WEB, tags=("tag:web",)),
        device(DB, tags=("tag:db",)),
        device(BOTH, tags=("tag:web", "tag:db")),
        device(PLAIN, tags=("tag:other",)),
    )
}
BASE: dict[str, Any] = {
    "groups": {"group:staff": ["ana@example.com", "ben@elsewhere.org"], "group:none": []},
    "tagOwners": {"tag:web": [], "tag:db": [], "tag:other": [], "tag:unused": []},
}


def resolver(**sections: Any) -> Resolver:
    document = read(parse(json.dumps({**BASE, **sections})), Known(DOMAINS))
    return Resolver(document, World(PEOPLE, DEVICES, DOMAINS))


def compiled(*rules: dict[str, Any], **sections: Any) -> Ssh:
    return Ssh(resolver(ssh=list(rules), **sections))


def rule(src: str, dst: str, *users: str, action: str = "accept", **more: Any) -> dict[str, Any]:
    return {"action": action, "src": src.split(), "dst": dst.split(), "users": list(users), **more}


def as_client(rules: Any, source: Device, login: str) -> str | None:
    """What a client does with a login from `source`: the first rule that names an address of the source and
    maps the login to an account (tailscale/ssh/tailssh)."""
    answers = set()
    for address in map(str, source.addresses):
        answer = None
        for one in rules:
            if {"nodeIP": address} not in one["principals"]:
                continue
            users = one["sshUsers"]
            local = users.get(login, users.get("*", ""))
            # "=" is the same name, but never the account of the administrator.
            if local and not (local == "=" and login == "root"):
                answer = "check" if "holdAndDelegate" in one["action"] else "accept"
                break
        answers.add(answer)
    (answer,) = answers  # both addresses of a device are treated alike
    return answer
