"""Random small worlds and policies over one set of names, for the tests that compare and shuffle."""

from __future__ import annotations

import json
from ipaddress import ip_address, ip_network
from typing import Any

from hypothesis import strategies as st

from meshbox.policy.document import Document
from meshbox.policy.reading import read
from meshbox.policy.world import Device, Person, World
from meshbox.wire import hujson

PEOPLE = {
    1: Person(1, "ana@example.com", "ana", "owner"),
    2: Person(2, "bob@example.com", "bob", "admin"),
    3: Person(3, "cyd@example.org", "cyd", "member"),
}
TAGS = ("tag:a", "tag:b", "tag:c")
ROUTES = (
    "10.0.0.0/8",
    "10.33.0.0/16",
    "192.168.1.0/24",
    "100.64.0.4/30",
    "fd00:1::/64",
    "8.8.8.0/24",
    "0.0.0.0/0",
    "::/0",
)
BASE: dict[str, Any] = {
    "groups": {"group:dev": ["ana@example.com", "cyd@example.org"], "group:none": []},
    "hosts": {"one": "100.64.0.1", "net": "10.33.0.0/16"},
    "tagOwners": {tag: ["ana@example.com"] for tag in TAGS},
}
PERSONS = (
    "ana@example.com",
    "bob@example.com",
    "group:dev",
    "group:none",
    "autogroup:member",
    "autogroup:admin",
)
MEANT = (*PERSONS, *TAGS, "autogroup:tagged", "user:*@example.com")
PLACES = ("one", "net", "10.33.1.0/24", "100.64.0.2", "100.64.0.0/30", "fd7a:115c:a1e0::3", "192.168.0.0/16")
SOURCES = st.lists(st.sampled_from(("*", *MEANT, *PLACES, "autogroup:danger-all")), max_size=3)
TARGETS = ("*", *MEANT, *PLACES, "autogroup:internet", "8.8.8.8", "2001:db8::/32")
PORTS = ("*", "22", "80-90", "22,443")
ITEMS = ("*", "22", "80-90", "tcp:443", "udp:*", "sctp:80")


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 7))
    return World(PEOPLE, {number: draw(devices(number)) for number in range(1, count + 1)})


@st.composite
def devices(draw: st.DrawFn, number: int) -> Device:
    tags = draw(st.sets(st.sampled_from(TAGS), max_size=2)) if draw(st.booleans()) else set()
    routes = draw(st.sets(st.sampled_from(ROUTES), max_size=2)) if draw(st.integers(0, 2)) == 0 else set()
    return Device(
        id=number,
        user_id=None if tags else draw(st.sampled_from(sorted(PEOPLE))),
        tags=tuple(sorted(tags)),
        ipv4=ip_address(f"100.64.0.{number}"),  # type: ignore[arg-type]
        ipv6=ip_address(f"fd7a:115c:a1e0::{number:x}"),  # type: ignore[arg-type]
        advertised=tuple(map(ip_network, sorted(routes))),
        routes=tuple(map(ip_network, sorted(routes))),
        created=float(draw(st.integers(0, 5))),
        is_online=draw(st.booleans()),
    )


def acls() -> st.SearchStrategy[dict[str, Any]]:
    plain = st.builds(
        lambda src, dst, proto: {"action": "accept", "src": src, "dst": dst, **proto},
        SOURCES,
        st.lists(st.builds("{}:{}".format, st.sampled_from(TARGETS), st.sampled_from(PORTS)), max_size=3),
        st.sampled_from(({}, {"proto": "tcp"}, {"proto": "udp"})),
    )
    to_self = st.builds(
        lambda src, port: {"action": "accept", "src": src, "dst": [f"autogroup:self:{port}"]},
        st.lists(st.sampled_from(("*", *PERSONS)), max_size=2),
        st.sampled_from(PORTS),
    )
    return st.one_of(plain, plain, to_self)


def grants() -> st.SearchStrategy[dict[str, Any]]:
    app = st.sampled_from(({}, {"app": {"example.com/cap/x": [{"y": 1}]}}))
    plain = st.builds(
        lambda src, dst, ip, more: {"src": src, "dst": dst, "ip": ip, **more},
        SOURCES,
        st.lists(st.sampled_from([one for one in TARGETS if one != "autogroup:internet"]), max_size=3),
        st.lists(st.sampled_from(ITEMS), min_size=1, max_size=2),
        app,
    )
    via = st.builds(
        lambda src, dst, ip, tag: {"src": src, "dst": [dst], "ip": ip, "via": [tag]},
        SOURCES,
        st.sampled_from(("net", "10.0.0.0/8", "192.168.1.0/24", "autogroup:internet")),
        st.lists(st.sampled_from(ITEMS), min_size=1, max_size=2),
        st.sampled_from(TAGS),
    )
    return st.one_of(plain, via)


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    found = dict(BASE)
    if draw(st.integers(0, 3)):
        found["acls"] = draw(st.lists(acls(), max_size=4))
    if draw(st.booleans()):
        found["grants"] = draw(st.lists(grants(), max_size=3))
    if draw(st.booleans()):
        found["nodeAttrs"] = [{"target": draw(SOURCES.filter(_is_target)), "attr": ["disable-ipv4"]}]
    return found


def _is_target(words: list[str]) -> bool:
    return "autogroup:danger-all" not in words


def parsed(policy: dict[str, Any]) -> Document:
    return read(hujson.parse(json.dumps(policy)))
