"""One conformance case through our engine, in the form in which the folder expects an answer."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Any

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.document import Document
from meshbox.policy.problem import PolicyError
from meshbox.policy.reading import read
from meshbox.policy.sight import ids
from meshbox.policy.trial import check_tests
from meshbox.policy.words import Known
from meshbox.policy.world import Device, Person, World
from meshbox.wire import hujson

Case = dict[str, Any]

DOMAINS = frozenset({"example.com"})
"""The mail domains of the captured tailnet."""


def answer(case: Case, users: list[Case], nodes: list[Case]) -> Case:
    """What we would have answered: status and message, or what each node is sent."""
    world = world_of(users, nodes)
    try:
        document = read(hujson.parse(case["policy"]), Known(world.domains, world.groups()))
        compiled = compile_policy(document, world)
        check_tests(compiled)
    except PolicyError as error:
        return {"status": 400, "message": str(error)}
    names = {number: node["name"] for number, node in enumerate(nodes, start=1)}
    return {"status": 200, "nodes": {name: sent(compiled, one, names) for one, name in names.items()}}


def world_of(users: list[Case], nodes: list[Case]) -> World:
    by_name = {user["name"]: user["id"] for user in users}
    people = {
        user["id"]: Person(user["id"], user["email"] or user["name"], user["name"], user["role"])
        for user in users
    }
    devices = {
        number: Device(
            id=number,
            user_id=by_name[node["user"]] if node["user"] is not None else None,
            tags=tuple(node["tags"]),
            ipv4=ip_address(node["ipv4"]),
            ipv6=ip_address(node["ipv6"]),
            advertised=tuple(map(ip_network, node["advertised"])),
            routes=tuple(map(ip_network, node["approved"])),
            created=float(number),
        )
        for number, node in enumerate(nodes, start=1)
    }
    return World(people, devices, DOMAINS)


def sent(compiled: Compiled, device_id: int, names: dict[int, str]) -> Case:
    """The fields of one node's expectation."""
    peers = [one for one in ids(compiled.view(device_id, compiled.index.everyone)) if one != device_id]
    device = compiled.index.devices[device_id]
    found: Case = {
        "rules": compiled.filter(device_id),
        "ssh": compiled.ssh.rules(device_id),
        "peers": [names[one] for one in peers],
        "routes": {
            names[router]: list(map(str, routes))
            for router, routes in compiled.shown_routes(device_id).items()
        },
        "primary": list(map(str, compiled.routes.primary_routes(device_id))),
        "caps": compiled.self_caps(device_id),
        "peer_caps": {names[one]: compiled.peer_caps(one) for one in peers if compiled.peer_caps(one)},
        "peer_addrs": {
            names[one]: [str(compiled.index.devices[one].ipv6)]
            for one in peers
            if not compiled.shows_ipv4(device_id, one)
        },
    }
    if not compiled.has_ipv4(device_id):
        found["addrs"] = [str(device.ipv6)]
    return found


def approved(document: Document, world: World) -> dict[int, set[str]]:
    """What the policy's autoApprovers approve, per node."""
    compiled = compile_policy(document, world)
    return {one: set(map(str, compiled.approved_routes(device))) for one, device in world.devices.items()}
