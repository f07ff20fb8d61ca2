"""The DERP map: two spellings, one meaning, stable bytes, and errors that say where."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import orjson
import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from meshbox.errors import Invalid
from meshbox.wire.derpmap import (
    DOCUMENT_LIMIT,
    DerpMap,
    DerpNode,
    Region,
    derp_address,
    merge,
    parse_file,
    parse_json,
    to_json,
)

# As the example file of the field spells it.
FILE = """
regions:
  900:
    regionid: 900
    regioncode: custom
    regionname: My Region
    nodes:
      - name: 900a
        regionid: 900
        hostname: myderp.example.no
        ipv4: 198.51.100.1
        ipv6: "2001:DB8::1"
        stunport: 0
        stunonly: false
        derpport: 0
        canport80: true
"""
NODE = DerpNode("900a", "myderp.example.no", ipv4="198.51.100.1", ipv6="2001:db8::1", can_port80=True)
REGION = Region(900, "custom", "My Region", (NODE,))

PORTS = st.sampled_from([0, 1, 443, 65535])
NODES = st.builds(
    DerpNode,
    name=st.just(""),
    host_name=st.sampled_from(["a.example.org", "192.0.2.1", "2001:db8::2"]),
    ipv4=st.sampled_from(["", "none", "192.0.2.7"]),
    ipv6=st.sampled_from(["", "none", "2001:db8::7"]),
    derp_port=PORTS,
    stun_port=PORTS | st.just(-1),
    stun_only=st.booleans(),
    can_port80=st.booleans(),
    insecure_for_tests=st.booleans(),
    cert_name=st.sampled_from(["", "b.example.org", "sha256-raw:" + "0a" * 32]),
)


@st.composite
def derp_maps(draw: st.DrawFn) -> DerpMap:
    regions = []
    for region_id in sorted(draw(st.sets(st.integers(1, 65535), max_size=4))):
        nodes = [draw(NODES) for _ in range(draw(st.integers(1, 3)))]
        # One at least must relay.
        fields = [{name: getattr(node, name) for name in DerpNode.__slots__} for node in nodes]
        fields[0]["stun_only"] = False
        named = tuple(DerpNode(**f | {"name": f"{region_id}{'abc'[i]}"}) for i, f in enumerate(fields))
        regions.append(
            Region(
                region_id,
                draw(st.sampled_from(["", "ams"])),
                draw(st.sampled_from(["", "Zürich"])),
                named,
                latitude=draw(st.sampled_from([0.0, 52.5])),
                longitude=draw(st.sampled_from([0.0, -4.25])),
                avoid=draw(st.booleans()),
                no_measure_no_home=draw(st.booleans()),
                score=draw(st.sampled_from([0.0, 0.5, 2.0])),
            )
        )
    return DerpMap(tuple(regions))


def with_node(**fields: object) -> dict[str, Any]:
    return {"regions": {900: {"nodes": [{"name": "900a", "hostname": "a.example.org"} | fields]}}}


def test_the_file_of_the_field_is_read() -> None:
    assert parse_file(yaml.safe_load(FILE)) == DerpMap((REGION,))


def test_the_wire_form_is_what_go_writes() -> None:
    assert orjson.dumps(to_json(DerpMap((REGION,)))) == (
        b'{"Regions":{"900":{"RegionID":900,"RegionCode":"custom","RegionName":"My Region","Nodes":['
        b'{"Name":"900a","RegionID":900,"HostName":"myderp.example.no","IPv4":"198.51.100.1",'
        b'"IPv6":"2001:db8::1","CanPort80":true}]}},"omitDefaultRegions":true}'
    )


@given(derp_maps())
def test_a_map_survives_the_wire(derp_map: DerpMap) -> None:
    assert parse_json(orjson.dumps(to_json(derp_map))) == derp_map


@given(derp_maps())
def test_the_bytes_do_not_depend_on_the_order_of_regions(derp_map: DerpMap) -> None:
    written = orjson.dumps(to_json(derp_map))
    for order in permutations(derp_map.regions):
        assert orjson.dumps(to_json(merge(*(DerpMap((region,)) for region in order)))) == written


def test_the_order_of_nodes_is_kept() -> None:
    # The first is the one clients use.
    nodes = [{"name": name, "hostname": "a.example.org"} for name in ("z", "a", "m")]
    derp_map = parse_file({"regions": {900: {"nodes": nodes}}})
    assert [node.name for node in derp_map.regions[0].nodes] == ["z", "a", "m"]


def test_a_score_becomes_a_home_parameter() -> None:
    written = to_json(DerpMap((Region(900, "a", "A", (NODE,), score=0.5),)))
    assert written["HomeParams"] == {"RegionScore": {"900": 0.5}}


@pytest.mark.parametrize("empty", [None, {}, {"regions": None}, {"regions": {}}])
def test_an_empty_file_is_an_empty_map(empty: object) -> None:
    assert parse_file(empty) == DerpMap()


def test_a_later_map_replaces_a_region_whole_and_a_null_takes_it_out() -> None:
    other = Region(900, "other", "Other", (DerpNode("900b", "b.example.org"),))
    kept = Region(1, "kept", "Kept", (DerpNode("1a", "c.example.org"),))
    assert merge(DerpMap((kept, REGION)), DerpMap((other,))).regions == (kept, other)
    removing = parse_file(yaml.safe_load("regions: {900: null}"))
    assert merge(DerpMap((kept, REGION)), removing).regions == (kept,)
    assert merge(removing, DerpMap((REGION,))).regions == (REGION,)
    assert merge() == DerpMap()


def test_two_nodes_of_one_name_are_refused_also_from_two_maps() -> None:
    # Clients look nodes up by name and would measure one for the other.
    twin = Region(901, "b", "B", (DerpNode("900a", "b.example.org"),))
    with pytest.raises(Invalid, match="'900a', in regions 900 and 901"):
        merge(DerpMap((REGION,)), DerpMap((twin,)))
    twice = [{"name": "x", "hostname": "a.example.org"}] * 2
    with pytest.raises(Invalid, match="'x'"):
        parse_file({"regions": {900: {"nodes": twice}}})


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "DERP map: is not a table"),
        ({"regions": []}, "is not a table"),
        ({"regions": {0: None}}, "region '0'"),
        ({"regions": {65536: None}}, "region '65536'"),
        ({"regions": {"home": None}}, "region 'home'"),
        ({"regions": {900: {}}}, "region 900: has no nodes"),
        ({"regions": {900: {"nodes": {}}}}, "region 900: nodes is not a list"),
        ({"regions": {900: {"nodes": ["a"]}}}, "region 900, node 1: is not a table"),
        ({"regions": {900: {"nodes": [{"hostname": "a"}]}}}, "region 900, node 1: has no name"),
        ({"regions": {900: {"regionid": 901, "nodes": [{}]}}}, "region 900: regionid is 901"),
        (with_node(regionid=901), "region 900, node '900a': regionid is 901"),
        (with_node(hostname=None), "has no hostname"),
        (with_node(hostname="a b"), "'a b' is neither a host name"),
        (with_node(hostname="-a.example"), "neither a host name"),
        (with_node(hostname="a..b"), "neither a host name"),
        (with_node(hostname="fe80::1%eth0"), "neither a host name"),
        (with_node(ipv4="2001:db8::1"), "ipv4 is '2001:db8::1', neither an IPv4"),
        (with_node(ipv6="192.0.2.1"), "ipv6 is '192.0.2.1', neither an IPv6"),
        (with_node(ipv6="fe80::1%eth0"), "neither an IPv6"),
        (with_node(derpport=65536), "derpport is 65536"),
        (with_node(derpport=-1), "derpport is -1"),
        (with_node(derpport="443"), "derpport is '443'"),
        (with_node(derpport=True), "derpport is True"),
        (with_node(stunport=-2), "stunport is -2"),
        (with_node(stunonly="no"), "stunonly is 'no'"),
        (with_node(stunonly=True), "region 900: has no node that relays"),
        (with_node(certname="sha256-raw:abc"), "64 hex digits"),
        (with_node(certname="a b"), "certname 'a b'"),
        (with_node(stunprt=1), "unknown key 'stunprt'; did you mean 'stunport'"),
        ({"regoins": {}}, "unknown key 'regoins'; did you mean 'regions'"),
        # YAML reads `no` as a boolean, the code of a country.
        (
            {"regions": {900: {"regioncode": False, "nodes": [{"name": "a", "hostname": "b"}]}}},
            "put it in quotes",
        ),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place(document: object, problem: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_file(document)
    assert problem in str(caught.value)


def test_a_published_map_may_know_more_fields_than_we_do() -> None:
    node = {
        "Name": "1a",
        "RegionID": 1,
        "HostName": "derp1.example.org",
        "Novelty": 1,
        "STUNTestIP": "192.0.2.1",
    }
    published = {
        "Regions": {"1": {"RegionID": 1, "Nodes": [node], "Novelty": {}}},
        "Novelty": [],
        "omitDefaultRegions": False,
    }
    (region,) = parse_json(orjson.dumps(published)).regions
    assert region.nodes == (DerpNode("1a", "derp1.example.org"),)


def test_a_pin_is_lower_case_as_clients_compare_it() -> None:
    (region,) = parse_file(with_node(certname="sha256-raw:" + "AB" * 32)).regions
    assert region.nodes[0].cert_name == "sha256-raw:" + "ab" * 32


def node_json(wire: Any) -> dict[str, object]:
    (node,) = wire["Regions"]["900"]["Nodes"]
    return dict(node)


@given(NODES)
def test_a_client_that_knows_no_pins_gets_none_and_nothing_else_changes(node: DerpNode) -> None:
    derp_map = DerpMap((Region(900, "", "", (node,)),))
    new, old = (node_json(to_json(derp_map, knows_pins)) for knows_pins in (True, False))
    if node.cert_name.startswith("sha256-raw:"):
        del new["CertName"]
        new["InsecureForTests"] = True
    assert old == new


@given(st.binary())
@example(b"[")
@example(b"{}")
@example(b'{"Regions":5}')
@example(b'{"Regions":{"1":[]}}')
@example(b'{"Regions":{"\xd9\xa1":{}}}')
@example(b'{"HomeParams":{"RegionScore":[]}}')
def test_a_fetched_document_is_a_map_or_invalid(document: bytes) -> None:
    try:
        parse_json(document)
    except Invalid as problem:
        assert str(problem).startswith("DERP map")


def test_a_fetched_document_has_a_limit() -> None:
    with pytest.raises(Invalid, match="longer"):
        parse_json(b" " * (DOCUMENT_LIMIT + 1))
    many = {"Regions": {str(number): None for number in range(1, 600)}}
    with pytest.raises(Invalid, match="regions"):
        parse_json(orjson.dumps(many))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["regions", 900, "nodes", "name", "hostname", "derpport", "regionid", "latitude"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    )
)
def test_a_file_is_a_map_or_invalid(document: object) -> None:
    try:
        derp_map = parse_file(document)
    except Invalid:
        return
    assert parse_json(orjson.dumps(to_json(derp_map))).regions == derp_map.regions


def test_the_address_old_clients_know_a_home_by() -> None:
    assert derp_address(900) == "127.3.3.40:900"
