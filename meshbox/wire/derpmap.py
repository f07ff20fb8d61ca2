"""The DERP map: which relays there are (tailcfg.DERPMap), as values and as JSON.

Two spellings are read: Go's JSON, as relays' operators publish it, and the lower-case YAML of files.
Both go through the same checks, and every error names the region and the node.

`to_json` is byte-stable: regions by number, nodes in their order. Clients compare regions deeply, and
any difference closes the connection to the home relay and measures everything again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from meshbox import fastjson
from meshbox.errors import Invalid
from meshbox.wire.derpfields import Fields
from meshbox.wire.gojson import Json, omit_empty

LARGEST_REGION_ID = 0xFFFF
"""Clients squeeze the number into the port of 127.3.3.40."""

REGION_LIMIT = 512
NODE_LIMIT = 64
"""Bounds for a map fetched from elsewhere: it is repeated to every client at every full map."""

DOCUMENT_LIMIT = 1024 * 1024

PIN = "sha256-raw:"

PINS_SINCE = 115
"""Capability version (1.82) from which clients know pins. Older ones take a pin for a name, find it in no
certificate and have no relay at all."""


@dataclass(frozen=True, slots=True)
class DerpNode:
    """One relay host. `ipv4` and `ipv6` are addresses, "none", or "" for whatever DNS says.

    Ports are as on the wire: `derp_port` 0 is 443, `stun_port` 0 is 3478 and -1 is no STUN.
    `cert_name` is another name to verify, or "sha256-raw:" and the SHA-256 of a pinned certificate.
    """

    name: str
    host_name: str
    ipv4: str = ""
    ipv6: str = ""
    derp_port: int = 0
    stun_port: int = 0
    stun_only: bool = False
    can_port80: bool = False
    insecure_for_tests: bool = False
    cert_name: str = ""


@dataclass(frozen=True, slots=True)
class Region:
    """Relays in one place. Clients use the first node and fall back to the others.

    `score` multiplies the latency clients measure: below 1 favours the region, 0 is "no wish".
    """

    id: int
    code: str
    name: str
    nodes: tuple[DerpNode, ...]
    latitude: float = 0.0
    longitude: float = 0.0
    avoid: bool = False
    no_measure_no_home: bool = False
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class DerpMap:
    """Regions by ascending number. `removed` are those a file says to take out of earlier ones."""

    regions: tuple[Region, ...] = ()
    removed: frozenset[int] = frozenset()


def derp_address(region_id: int) -> str:
    """A home relay as clients below capability version 111 are told it."""
    return f"127.3.3.40:{region_id}"


def merge(*maps: DerpMap) -> DerpMap:
    """One map of all; a later region takes the place of an earlier one, whole. Raises Invalid when
    two nodes have one name, which clients would take for one node."""
    regions: dict[int, Region] = {}
    for each in maps:
        for region_id in each.removed:
            regions.pop(region_id, None)
        regions |= {region.id: region for region in each.regions}
    return DerpMap(_ordered(regions.values()))


def to_json(derp_map: DerpMap, knows_pins: bool = True) -> Json:
    """The map as clients are sent it. One that does not know pins is told not to check a pinned node's
    certificate: whoever poses as the relay then sees who talks to whom, but never what is said."""
    scores = {str(region.id): region.score for region in derp_map.regions if region.score}
    return omit_empty({"HomeParams": omit_empty({"RegionScore": scores})}) | {
        "Regions": {str(region.id): _region_json(region, knows_pins) for region in derp_map.regions},
        "omitDefaultRegions": True,
    }


def parse_json(document: bytes) -> DerpMap:
    """A map as published at a URL; fields that we do not know are ignored. Raises Invalid."""
    if len(document) > DOCUMENT_LIMIT:
        raise Invalid(f"DERP map: longer than {DOCUMENT_LIMIT} bytes")
    try:
        value = fastjson.loads(document)
    except fastjson.JSONDecodeError as problem:
        raise Invalid(f"DERP map: not JSON: {problem}") from None
    return _parse(Fields("DERP map", value))


def parse_file(document: object) -> DerpMap:
    """A map from a parsed YAML file. Raises Invalid, also for a key that is misspelt."""
    return _parse(Fields("DERP map", {} if document is None else document, is_strict=True))


def _parse(fields: Fields) -> DerpMap:
    homeparams = fields.child("homeparams")
    scores = homeparams.child("regionscore") if homeparams else None
    described = fields.child("regions")
    fields.flag("omitdefaultregions")
    fields.done()
    if described is None:
        return DerpMap()
    names = described.names()
    if len(names) > REGION_LIMIT:
        raise described.invalid(f"{len(names)} regions; at most {REGION_LIMIT} are allowed")
    regions: dict[int, Region] = {}
    removed: set[int] = set()
    for name in names:
        if not (name.isascii() and name.isdigit() and 0 < int(name[:9]) <= LARGEST_REGION_ID):
            raise fields.invalid(f"region {name!r} is not a number from 1 to {LARGEST_REGION_ID}")
        region = described.child(name, f"region {int(name)}")
        if region is None:
            removed.add(int(name))
        else:
            score = scores.number(name, 0.0, 1e6) if scores else 0.0
            regions[int(name)] = _region(region, int(name), score)
    return DerpMap(_ordered(regions.values()), frozenset(removed))


def _region(fields: Fields, region_id: int, score: float) -> Region:
    _require_same_id(fields, region_id)
    described = fields.children("nodes", "node")
    if not described:
        raise fields.invalid("has no nodes")
    if len(described) > NODE_LIMIT:
        raise fields.invalid(f"has {len(described)} nodes; at most {NODE_LIMIT} are allowed")
    region = Region(
        id=region_id,
        code=fields.text("regioncode", 64),
        name=fields.text("regionname", 128),
        nodes=tuple(_node(node, region_id) for node in described),
        latitude=fields.number("latitude", -90.0, 90.0),
        longitude=fields.number("longitude", -180.0, 180.0),
        avoid=fields.flag("avoid"),
        no_measure_no_home=fields.flag("nomeasurenohome"),
        score=score,
    )
    fields.done()
    if all(node.stun_only for node in region.nodes):
        raise fields.invalid("has no node that relays: all are stunonly")
    return region


def _node(fields: Fields, region_id: int) -> DerpNode:
    name = fields.text("name", 64)
    if not name:
        raise fields.invalid("has no name")
    fields = fields.called(f"node {name!r}")
    _require_same_id(fields, region_id)
    node = DerpNode(
        name=name,
        host_name=fields.host("hostname"),
        ipv4=fields.address("ipv4", 4),
        ipv6=fields.address("ipv6", 6),
        derp_port=fields.integer("derpport", 0, 0xFFFF),
        stun_port=fields.integer("stunport", -1, 0xFFFF),
        stun_only=fields.flag("stunonly"),
        can_port80=fields.flag("canport80"),
        insecure_for_tests=fields.flag("insecurefortests"),
        cert_name=fields.pin_or_host("certname", PIN),
    )
    fields.skip("stuntestip")
    fields.done()
    return node


def _require_same_id(fields: Fields, region_id: int) -> None:
    # Said twice on the wire; a node that says another number is measured and never chosen.
    said = fields.integer("regionid", 0, LARGEST_REGION_ID)
    if said not in (0, region_id):
        raise fields.invalid(f"regionid is {said}, but it stands under {region_id}")


def _ordered(regions: Iterable[Region]) -> tuple[Region, ...]:
    ordered = tuple(sorted(regions, key=lambda region: region.id))
    seen: dict[str, int] = {}
    for region in ordered:
        for node in region.nodes:
            if node.name in seen:
                where = f"regions {seen[node.name]} and {region.id}"
                raise Invalid(f"DERP map: two nodes are named {node.name!r}, in {where}")
            seen[node.name] = region.id
    return ordered


def _region_json(region: Region, knows_pins: bool) -> Mapping[str, object]:
    optional = {
        "Latitude": region.latitude,
        "Longitude": region.longitude,
        "Avoid": region.avoid,
        "NoMeasureNoHome": region.no_measure_no_home,
    }
    return (
        {"RegionID": region.id, "RegionCode": region.code, "RegionName": region.name}
        | omit_empty(optional)
        | {"Nodes": [_node_json(node, region.id, knows_pins) for node in region.nodes]}
    )


def _node_json(node: DerpNode, region_id: int, knows_pins: bool) -> Mapping[str, object]:
    if node.cert_name.startswith(PIN) and not knows_pins:
        node = replace(node, cert_name="", insecure_for_tests=True)
    optional = {
        "CertName": node.cert_name,
        "IPv4": node.ipv4,
        "IPv6": node.ipv6,
        "STUNPort": node.stun_port,
        "STUNOnly": node.stun_only,
        "DERPPort": node.derp_port,
        "InsecureForTests": node.insecure_for_tests,
        "CanPort80": node.can_port80,
    }
    return {"Name": node.name, "RegionID": region_id, "HostName": node.host_name} | omit_empty(optional)
