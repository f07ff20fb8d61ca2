"""The tailnet as its policy sees it, and a policy file held against it.

The policy engine works on values of its own (policy/world.py), so that it can be tested, and asked
about a file nobody uses yet, without a tailnet. This is where our nodes become its devices.
"""

from __future__ import annotations

from meshbox.policy.compiled import Compiled, compile_policy
from meshbox.policy.reading import read
from meshbox.policy.trial import check_tests
from meshbox.policy.words import Known
from meshbox.policy.world import Device, Person, World
from meshbox.policy.yamlform import read as read_text
from meshbox.tailnet.model import Node, User
from meshbox.tailnet.tailnet import Tailnet


def world_of(t: Tailnet) -> World:
    people = {user.id: _person(user) for user in t.users.values()}
    devices = {node.id: _device(t, node) for node in t.nodes.values()}
    return World(people, devices)


def check_policy(t: Tailnet, text: str) -> Compiled:
    """A policy text read, compiled for this tailnet, and its own tests run. Raises PolicyError."""
    world = world_of(t)
    document = read(read_text(text), Known(world.domains, world.groups()))
    compiled = compile_policy(document, world)
    check_tests(compiled)
    return compiled


def _person(user: User) -> Person:
    return Person(user.id, user.email or user.name, user.name)


def _device(t: Tailnet, node: Node) -> Device:
    report = t.report(node.id)
    return Device(
        id=node.id,
        user_id=node.user_id,
        tags=node.tags,
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        advertised=report.advertised_routes,
        routes=tuple(route for route in node.approved_routes if route in report.advertised_routes),
        created=node.created_at,
        is_online=t.is_online(node.id),
        os=report.os,
    )
