"""Host facts: a device may say what it likes; what others are told of it is typed, safe and small."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_network
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.addressing import LONGEST_ENDPOINT
from meshbox.wire.hostinfo import (
    HOSTINFO_LIMIT,
    PEER_HOSTINFO_LIMIT,
    ROUTE_LIMIT,
    TAG_LIMIT,
    peer_view,
    read_hostinfo,
    self_view,
)
from meshbox.wire.tailcfg import ENDPOINT_LIMIT

# As tailscaled 1.102 reports itself, shortened.
REAL: dict[str, Any] = {
    "IPNVersion": "1.102.5-t0123456-gabcdef0",
    "BackendLogID": "0123",
    "OS": "linux",
    "OSVersion": "6.1.0-17-amd64",
    "Container": False,
    "Distro": "debian",
    "Hostname": "lab1",
    "RoutableIPs": ["10.1.0.0/16", "0.0.0.0/0", "::/0"],
    "RequestTags": ["tag:ci"],
    "Services": [
        {"Proto": "peerapi4", "Port": 4711},
        {"Proto": "peerapi6", "Port": 4712},
        {"Proto": "peerapi-dns-proxy", "Port": 1},
        {"Proto": "tcp", "Port": 22, "Description": "sshd"},
    ],
    "NetInfo": {"WorkingUDP": True, "PreferredDERP": 900, "DERPLatency": {"900-v4": 0.012}},
    "sshHostKeys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFoo root@lab1"],
    "AppConnector": True,
    "Location": {"Country": "Norge", "CountryCode": "NO", "Latitude": 59.9, "Longitude": 10, "Priority": 3},
}

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def one_of_each(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values) | ANY_JSON


# Right names with right, nearly right and quite wrong values, at every level.
SERVICE = st.fixed_dictionaries(
    {},
    optional={
        "Proto": one_of_each("peerapi4", "tcp", ""),
        "Port": one_of_each(80, 0, -1, 65536, 1.5, True, "80"),
        "Description": ANY_JSON,
    },
)
LOCATION = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("Country", "CountryCode", "City", "CityCode"), ANY_JSON)
    | {
        name: one_of_each(1e308, -91, 181, 0, 1 << 63, True) for name in ("Latitude", "Longitude", "Priority")
    },
)
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "Hostname": one_of_each("lab1", "a\nb", "\u202eevil", "x" * 300),
        "OS": one_of_each("linux", "\x00"),
        "IPNVersion": ANY_JSON,
        "RoutableIPs": st.lists(one_of_each("10.0.0.0/8", "::/0", ""), max_size=4) | ANY_JSON,
        "RequestTags": st.lists(one_of_each("tag:a", "tag:A", "x"), max_size=4) | ANY_JSON,
        "Services": st.lists(SERVICE | ANY_JSON, max_size=20) | ANY_JSON,
        "NetInfo": st.fixed_dictionaries({}, optional={"PreferredDERP": one_of_each(900, -1, 65536)})
        | ANY_JSON,
        "sshHostKeys": st.lists(one_of_each("ssh-rsa AAAA", "ssh-rsa AAAA\n* ssh-rsa B"), max_size=20)
        | ANY_JSON,
        "AppConnector": ANY_JSON,
        "ShareeNode": ANY_JSON,
        "Location": LOCATION | ANY_JSON,
        "Other": ANY_JSON,
    },
)


def require(condition: bool, what: object) -> None:
    assert condition, what


def check_go_can_read(view: dict[str, Any]) -> None:
    """The types of tailcfg.Hostinfo, as Go's decoder insists on them."""
    types: dict[str, type] = {
        "OS": str,
        "Hostname": str,
        "Services": list,
        "sshHostKeys": list,
        "AppConnector": bool,
        "Location": dict,
        "RoutableIPs": list,
        "RequestTags": list,
    }
    for name, value in view.items():
        require(type(value) is types[name], (name, value))
    for service in view.get("Services", ()):
        require(set(service) == {"Proto", "Port"}, service)
        require(type(service["Port"]) is int and 0 < service["Port"] < 65536, service)
        require(type(service["Proto"]) is str, service)
    for key in view.get("sshHostKeys", ()):
        require(type(key) is str and key.isprintable() and len(key) <= 1024, key)
    for name, value in view.get("Location", {}).items():
        if name in ("Latitude", "Longitude"):
            require(type(value) in (int, float), value)
        elif name == "Priority":
            require(type(value) is int and value < 1 << 31, value)
        else:
            require(type(value) is str, value)


def test_a_real_report_is_read() -> None:
    hostinfo = read_hostinfo(REAL)
    assert (hostinfo.hostname, hostinfo.os, hostinfo.client_version) == (
        "lab1",
        "linux",
        "1.102.5-t0123456-gabcdef0",
    )
    assert hostinfo.routable_ips == tuple(map(ip_network, ("10.1.0.0/16", "0.0.0.0/0", "::/0")))
    assert hostinfo.request_tags == ("tag:ci",)
    assert hostinfo.preferred_derp == 900
    assert orjson.loads(hostinfo.full) == REAL
    assert hostinfo.clipped == ()


def test_peers_see_what_they_need_and_nothing_else() -> None:
    view = orjson.loads(read_hostinfo(REAL).for_peers)
    assert view == {
        "OS": "linux",
        "Hostname": "lab1",
        "Services": REAL["Services"][:3],
        "sshHostKeys": REAL["sshHostKeys"],
        "AppConnector": True,
        "Location": REAL["Location"],
    }


def test_the_node_itself_also_sees_its_routes_and_tags() -> None:
    hostinfo = read_hostinfo(REAL)
    own, peers = orjson.loads(hostinfo.for_self), orjson.loads(hostinfo.for_peers)
    assert own == peers | {"RoutableIPs": REAL["RoutableIPs"], "RequestTags": ["tag:ci"]}


def test_a_device_cannot_hide_itself_from_its_peers() -> None:
    # `tailscale status` leaves out nodes with ShareeNode; only the server may say it.
    assert b"ShareeNode" not in read_hostinfo(REAL | {"ShareeNode": True}).for_peers


@given(DOCUMENT)
def test_what_others_are_told_can_be_read_whatever_was_said(document: dict[str, Any]) -> None:
    full = orjson.dumps({name: value for name, value in document.items() if is_encodable(value)})
    for view in (peer_view(full), self_view(full, ())):
        check_go_can_read(orjson.loads(view))
        assert len(view) <= PEER_HOSTINFO_LIMIT


@given(DOCUMENT)
def test_a_report_is_read_or_malformed(document: dict[str, Any]) -> None:
    document = {name: value for name, value in document.items() if is_encodable(value)}
    try:
        hostinfo = read_hostinfo(document)
    except Malformed:
        return
    assert hostinfo.hostname.isprintable()
    assert 0 <= hostinfo.preferred_derp < 65536
    check_go_can_read(orjson.loads(hostinfo.for_self))
    assert read_hostinfo(orjson.loads(hostinfo.full)) == hostinfo


def is_encodable(value: object) -> bool:
    """What the parser in front can have read: integers of 64 bits, no lone surrogates."""
    try:
        orjson.dumps(value)
    except TypeError:
        return False
    return True


def test_the_most_a_node_can_make_its_peers_hold() -> None:
    place = "\N{GRINNING FACE}" * 500
    greedy = {
        "Hostname": "\N{GRINNING FACE}" * 5000,
        "OS": '"' * 500,
        "Services": [{"Proto": "peerapi-dns-proxy", "Port": 65535}] * 500,
        "sshHostKeys": ["ssh-rsa " + "A" * 1016] * 500,
        "AppConnector": True,
        "Location": dict.fromkeys(("Country", "CountryCode", "City", "CityCode"), place)
        | {"Latitude": -89.12345678901234, "Longitude": -179.12345678901234, "Priority": 2**31 - 1},
    }
    view = peer_view(orjson.dumps(greedy))
    assert PEER_HOSTINFO_LIMIT * 0.5 < len(view) <= PEER_HOSTINFO_LIMIT
    endpoints = ENDPOINT_LIMIT * (LONGEST_ENDPOINT + len('"",'))
    assert PEER_HOSTINFO_LIMIT + endpoints + 255 <= 16 * 1024


@pytest.mark.parametrize(
    "key",
    [
        "ssh-rsa AAAA\ngithub.com ssh-rsa BBBB",
        "@cert-authority * ssh-rsa AAAA",
        "ssh-rsa",
        "ssh-rsa A\x1bB",
        5,
    ],
)
def test_a_host_key_cannot_vouch_for_another_host(key: object) -> None:
    good = "ecdsa-sha2-nistp256 AAAAE2VjZHNh+/= root@lab1"
    view = orjson.loads(read_hostinfo({"sshHostKeys": [key, good + "\n"]}).for_peers)
    assert view == {"sshHostKeys": [good]}


def test_a_place_off_the_globe_is_left_out() -> None:
    location = {"City": "X", "Latitude": 90.5, "Longitude": -180.5, "Priority": -1}
    assert orjson.loads(peer_view(orjson.dumps({"Location": location}))) == {"Location": {"City": "X"}}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Hostname", 5),
        ("OS", ["linux"]),
        ("RoutableIPs", "10.0.0.0/8"),
        ("RoutableIPs", [5]),
        ("RoutableIPs", ["10.0.0.0/33"]),
        ("RequestTags", [None]),
        ("RequestTags", ["tag:" + "x" * 61]),
        ("RequestTags", [f"tag:t{number}" for number in range(TAG_LIMIT + 1)]),
        ("NetInfo", []),
        ("NetInfo", {"PreferredDERP": 65536}),
        ("NetInfo", {"PreferredDERP": -1}),
        ("NetInfo", {"PreferredDERP": "900"}),
    ],
)
def test_a_wrong_value_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(Malformed, match=f"{field}|PreferredDERP"):
        read_hostinfo({field: value})


def routes(numbers: Iterable[int]) -> list[str]:
    return [f"10.{number >> 8}.{number & 255}.0/24" for number in numbers]


def test_routes_beyond_the_limit_are_cut_and_told() -> None:
    hostinfo = read_hostinfo({"RoutableIPs": routes(range(1000))})
    assert [str(route) for route in hostinfo.routable_ips] == routes(range(ROUTE_LIMIT))
    assert hostinfo.clipped == ("routes",)


def test_routes_at_the_limit_are_all_kept_and_repetitions_count_once() -> None:
    hostinfo = read_hostinfo({"RoutableIPs": [*routes(range(ROUTE_LIMIT)), "", "10.0.0.7/24"]})
    assert len(hostinfo.routable_ips) == ROUTE_LIMIT
    assert hostinfo.clipped == ()
    assert read_hostinfo({"RoutableIPs": ["10.0.0.7/24", "10.0.0.0/24"]}).routable_ips == (
        ip_network("10.0.0.0/24"),
    )


def test_a_malformed_tag_is_passed_over() -> None:
    tags = ["tag:ok", "tag:Server", "ok", "tag:", "tag:1a", "tag:a b", "tag:ok"]
    assert read_hostinfo({"RequestTags": tags}).request_tags == ("tag:ok",)


def test_a_busy_host_is_not_refused_for_its_ports_and_routes() -> None:
    ports = [{"Proto": "tcp", "Port": port % 65536, "Description": "x" * 40} for port in range(2000)]
    busy = REAL | {"Services": REAL["Services"][:2] + ports, "RoutableIPs": routes(range(4000))}
    hostinfo = read_hostinfo(busy)
    assert len(hostinfo.full) <= HOSTINFO_LIMIT
    assert orjson.loads(hostinfo.for_peers)["Services"] == REAL["Services"][:2]


def test_junk_beyond_the_limit_is_refused() -> None:
    read_hostinfo({"Other": "x" * (HOSTINFO_LIMIT - 12)})
    with pytest.raises(Malformed, match=re.escape(str(HOSTINFO_LIMIT))):
        read_hostinfo({"Other": "x" * (HOSTINFO_LIMIT - 11)})


def test_the_host_name_is_one_line_of_limited_length() -> None:
    assert read_hostinfo({"Hostname": "a" * 10_000}).hostname == "a" * 253
    assert read_hostinfo({"Hostname": "lab\n1\x1b[2J\u202e"}).hostname == "lab1[2J"
