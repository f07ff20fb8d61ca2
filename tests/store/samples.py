"""Values to keep: one maker for each kind, everything else by its default."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

from meshbox.tailnet.model import ApiKey, AuthKey, Node, Notice, PolicyVersion, Report, User
from meshbox.wire.keys import DiscoKey, MachineKey, NodeKey

START = 1_790_000_000.25


def digest(text: str) -> bytes:
    return sha256(text.encode()).digest()


def user(number: int, **other: Any) -> User:
    return replace(User(number, f"user{number}", START), **other)


def auth_key(number: int, **other: Any) -> AuthKey:
    key = AuthKey(number, f"prefix{number}", digest(f"key{number}"), START, user_id=1)
    return replace(key, **other)


def api_key(number: int, **other: Any) -> ApiKey:
    return replace(ApiKey(number, f"api{number}", digest(f"api{number}"), START, START + 90), **other)


def node(number: int, **other: Any) -> Node:
    made = Node(
        id=number,
        stable_id=f"n{number}",
        machine_key=MachineKey(digest(f"machine{number}")),
        node_key=NodeKey(digest(f"node{number}")),
        name=f"box-{number}",
        created_at=START + number,
        user_id=1,
        hostname=f"Box {number}",
        ipv4=IPv4Address("100.64.0.0") + number,
        ipv6=IPv6Address("fd7a:115c:a1e0::") + number,
    )
    return replace(made, **other)


def policy(number: int, **other: Any) -> PolicyVersion:
    text = f'{{"acls": []}} // {number}\n'
    return replace(PolicyVersion(number, text, "local:ana", START + number, f"note {number}"), **other)


def notice(number: int, **other: Any) -> Notice:
    made = Notice(
        number, f"notice-{number}", START, "Maintenance", "Tonight at ten.", "low", "https://x.test", "More"
    )
    return replace(made, **other)


def report(number: int, **other: Any) -> Report:
    made = Report(
        disco_key=DiscoKey(digest(f"disco{number}")),
        endpoints=("203.0.113.4:41641", "[2001:db8::4]:41641"),
        home_derp=900,
        capver=133,
        hostinfo=b'{"OS":"linux"}',
        peer_hostinfo=b'{"OS":"linux"}',
        advertised_routes=(ip_network("10.1.0.0/16"), ip_network("::/0")),
        os="linux",
        client_version="1.98.1",
        last_seen=START + 5,
    )
    return replace(made, **other)
