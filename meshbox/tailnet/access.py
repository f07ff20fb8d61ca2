"""The tailnet as its policy sees it.

The policy engine works on values of its own (policy/world.py), so that it can be tested, and asked
about a file nobody uses yet, without a tailnet. This is where our nodes become its devices.
"""

from __future__ import annotations

from meshbox.policy.world import Device, Person, World
from meshbox.tailnet.model import Node, User
from meshbox.tailnet.tailnet import Tailnet


def world_of(t: Tailnet) -> World:
    people = {user.id: _person(user) for user in t.users.values()}
    devices = {node.id: _device(t, node) for node in t.nodes.values()}
    return World(people, devices)


def _person(user: User) -> Person:
    login = user.email or user.name
    return Person(user.id, login, user.name, user.role, frozenset(user.groups))


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
