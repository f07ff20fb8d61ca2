"""Requests inside the tunnel: as official clients write them, as odd ones do, and as attackers do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.errors import Malformed
from meshbox.wire.keys import DiscoKey, NodeKey
from meshbox.wire.tailcfg import (
    ENDPOINT_LIMIT,
    ENDPOINTS_READ,
    MapRequest,
    parse_map,
    parse_register,
)

NODE = NodeKey(bytes(range(32)))
OLD = NodeKey(bytes(range(1, 33)))
DISCO = DiscoKey(bytes(range(2, 34)))
ZERO = "nodekey:" + "0" * 64

# As control/controlclient writes it (capability version 142).
REGISTER: dict[str, Any] = {
    "Version": 142,
    "NodeKey": str(NODE),
    "OldNodeKey": ZERO,
    "NLKey": "nlpub:" + "0" * 64,
    "Auth": {"AuthKey": "mb-auth-abc-def"},
    "Expiry": "0001-01-01T00:00:00Z",
    "Followup": "",
    "Hostinfo": {"OS": "linux", "Hostname": "lab1", "RequestTags": ["tag:ci"]},
    "Ephemeral": True,
    "NodeKeySignature": None,
}
MAP: dict[str, Any] = {
    "Version": 142,
    "Compress": "zstd",
    "KeepAlive": True,
    "NodeKey": str(NODE),
    "DiscoKey": str(DISCO),
    "Stream": True,
    "Hostinfo": {"OS": "linux", "Hostname": "lab1", "NetInfo": {"PreferredDERP": 900}},
    "Endpoints": ["203.0.113.4:41641", "10.0.0.5:41641"],
    "EndpointTypes": [2, 1],
    "TKAHead": "",
}

PARSERS: list[Callable[[bytes], object]] = [
    parse_register,
    parse_map,
]

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=10,
)


def read_map(**changes: object) -> MapRequest:
    return parse_map(orjson.dumps(MAP | changes))


def test_a_registration_is_read() -> None:
    request = parse_register(orjson.dumps(REGISTER))
    assert request.version == 142
    assert (request.node_key, request.old_node_key) == (NODE, None)
    assert request.auth_key == "mb-auth-abc-def"
    assert request.expiry is None
    assert request.ephemeral
    assert request.followup == ""
    assert request.hostinfo is not None
    assert (request.hostinfo.hostname, request.hostinfo.request_tags) == ("lab1", ("tag:ci",))


def test_a_registration_with_everything_else() -> None:
    changes = {
        "OldNodeKey": str(OLD),
        "Auth": None,
        "Expiry": "1970-01-01T00:02:03Z",
        "Followup": "https://ctl.example.org/register/x",
        "Hostinfo": None,
    }
    request = parse_register(orjson.dumps(REGISTER | changes))
    assert request.old_node_key == OLD
    assert request.auth_key is None
    assert request.expiry == 123.0
    assert request.followup == "https://ctl.example.org/register/x"
    assert request.hostinfo is None


def test_a_pasted_auth_key_loses_its_line_break() -> None:
    assert parse_register(orjson.dumps(REGISTER | {"Auth": {"AuthKey": " key\n"}})).auth_key == "key"
    assert parse_register(orjson.dumps(REGISTER | {"Auth": {"AuthKey": ""}})).auth_key is None


def test_an_empty_object_is_all_zero_values() -> None:
    register, poll = parse_register(b"{}"), parse_map(b"{}")
    assert register.node_key.is_zero
    assert (register.old_node_key, register.auth_key, register.expiry) == (None, None, None)
    assert poll.node_key.is_zero
    assert poll == MapRequest(0, NodeKey.zero())


@pytest.mark.parametrize("tag", ["tag:Server", "server", "tag:", "tag:1st", "tag:a b", "tag:ä"])
def test_a_wrong_tag_is_refused_at_registration_and_passed_over_in_a_map_request(tag: str) -> None:
    hostinfo = {"RequestTags": ["tag:ok", tag]}
    with pytest.raises(Malformed) as caught:
        parse_register(orjson.dumps(REGISTER | {"Hostinfo": hostinfo}))
    assert repr(tag) in str(caught.value)
    request = read_map(Hostinfo=hostinfo)
    assert request.hostinfo is not None and request.hostinfo.request_tags == ("tag:ok",)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Version", -1),
        ("Version", 1 << 32),
        ("Version", "142"),
        ("Version", 142.0),
        ("NodeKey", "nodekey:abc"),
        ("NodeKey", str(DISCO)),
        ("NodeKey", 5),
        ("NodeKey", ""),
        ("OldNodeKey", "nodekey:" + "g" * 64),
        ("Auth", "key"),
        ("Auth", {"AuthKey": "x" * 513}),
        ("Auth", {"AuthKey": 5}),
        ("Expiry", "tomorrow"),
        ("Expiry", 5),
        ("Followup", "x" * 513),
        ("Hostinfo", []),
        ("Hostinfo", {"Hostname": 5}),
        ("Ephemeral", "yes"),
    ],
)
def test_a_wrong_value_in_a_registration_is_malformed(field: str, value: object) -> None:
    with pytest.raises(Malformed):
        parse_register(orjson.dumps(REGISTER | {field: value}))


def test_a_map_request_is_read() -> None:
    request = read_map()
    assert (request.version, request.node_key, request.disco_key) == (142, NODE, DISCO)
    assert (request.stream, request.keep_alive, request.omit_peers, request.read_only) == (
        True,
        True,
        False,
        False,
    )
    assert request.compress == "zstd"
    assert request.endpoints == ("203.0.113.4:41641", "10.0.0.5:41641")
    assert request.endpoint_types == (2, 1)
    assert request.hostinfo is not None and request.hostinfo.preferred_derp == 900
    assert request.clipped == ()


def test_a_zero_disco_key_is_none() -> None:
    assert read_map(DiscoKey="discokey:" + "0" * 64).disco_key is None
    assert read_map(DiscoKey=None).disco_key is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Version", 1 << 32),
        ("NodeKey", "nodekey:abc"),
        ("DiscoKey", str(NODE)),
        ("DiscoKey", 5),
        ("Stream", 1),
        ("Compress", "x" * 17),
        ("Hostinfo", "lab1"),
        ("Endpoints", "203.0.113.4:41641"),
        ("Endpoints", [5]),
        ("EndpointTypes", {}),
    ],
)
def test_a_wrong_value_in_a_map_request_is_malformed(field: str, value: object) -> None:
    with pytest.raises(Malformed):
        read_map(**{field: value})


def test_endpoints_nobody_can_reach_go_with_their_types() -> None:
    request = read_map(
        Endpoints=[
            "[fe80::1%eth0]:1",
            "10.0.0.5:2",
            "169.254.0.1:3",
            "10.0.0.5:2",
            "junk",
            "[2001:db8::1]:4",
        ],
        EndpointTypes=[1, 2, 3, 4, 5, 1],
    )
    assert request.endpoints == ("10.0.0.5:2", "[2001:db8::1]:4")
    assert request.endpoint_types == (2, 1)
    assert request.clipped == ()


def test_missing_and_odd_endpoint_types_are_unknown() -> None:
    assert read_map(EndpointTypes=None).endpoint_types == (0, 0)
    assert read_map(EndpointTypes=[4]).endpoint_types == (4, 0)
    assert read_map(EndpointTypes=["x", -1, 7, 8]).endpoint_types == (0, 0)


def test_a_host_with_many_interfaces_keeps_its_first_endpoints() -> None:
    offered = [f"10.0.{number >> 8}.{number & 255}:41641" for number in range(200)]
    request = read_map(Endpoints=offered, EndpointTypes=[1] * 200)
    assert request.endpoints == tuple(offered[:ENDPOINT_LIMIT])
    assert len(request.endpoint_types) == ENDPOINT_LIMIT
    assert request.clipped == ("endpoints",)
    assert read_map(Endpoints=offered[:ENDPOINT_LIMIT]).clipped == ()


def test_endpoints_past_the_first_hundreds_are_not_even_looked_at() -> None:
    request = read_map(Endpoints=["junk"] * ENDPOINTS_READ + ["10.0.0.5:1"])
    assert (request.endpoints, request.clipped) == ((), ("endpoints",))
    request = read_map(Endpoints=["junk"] * (ENDPOINTS_READ - 1) + ["10.0.0.5:1"])
    assert (request.endpoints, request.clipped) == (("10.0.0.5:1",), ())


def test_all_that_was_cut_is_named() -> None:
    routes = [f"10.{number >> 8}.{number & 255}.0/24" for number in range(300)]
    request = read_map(Hostinfo={"RoutableIPs": routes}, Endpoints=["junk"] * 1000)
    assert request.clipped == ("routes", "endpoints")


def test_fields_of_tomorrow_are_ignored() -> None:
    assert read_map(Novelty={"deep": [1]}) == read_map()


@pytest.mark.parametrize("parse", PARSERS)
@given(st.dictionaries(st.sampled_from(sorted({*MAP, *REGISTER})), ANY_JSON).map(orjson.dumps) | st.binary())
@example(orjson.dumps(REGISTER))
@example(orjson.dumps(MAP))
@example(b'{"Version":1e400}')
@example(b'{"Hostinfo":' * 400 + b"{}" + b"}" * 400)
@example(b'{"Hostinfo":{"x":' + b"[" * 400 + b"]" * 400 + b"}}")
def test_a_request_is_a_value_or_malformed(parse: Callable[[bytes], object], body: bytes) -> None:
    try:
        parse(body)
    except Malformed as problem:
        assert str(problem)


@pytest.mark.parametrize("body", [orjson.dumps(REGISTER), orjson.dumps(MAP)])
def test_every_byte_broken_is_a_value_or_malformed(body: bytes) -> None:
    for index in range(len(body)):
        for broken in (body[:index], body[:index] + bytes([body[index] ^ 0x15]) + body[index + 1 :]):
            for parse in (parse_register, parse_map):
                try:
                    parse(broken)
                except Malformed:
                    continue
