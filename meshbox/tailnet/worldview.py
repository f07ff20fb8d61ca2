"""Users and nodes as the policy engine sees them (policy/world.py)."""

from __future__ import annotations

from meshbox.policy.world import Device, Person
from meshbox.tailnet.model import Node, Report, User
from meshbox.tailnet.reported import attributes_of


def person_of(user: User) -> Person:
    login = user.email or user.name
    return Person(user.id, login, user.name, user.role, frozenset(user.groups))


def device_of(node: Node, report: Report, is_online: bool) -> Device:
    """A route is in force when the node offers it and somebody approved it."""
    offered = report.advertised_routes
    return Device(
        id=node.id,
        user_id=node.user_id,
        tags=node.tags,
        ipv4=node.ipv4,
        ipv6=node.ipv6,
        advertised=offered,
        routes=tuple(route for route in node.approved_routes if route in offered),
        created=node.created_at,
        is_online=is_online,
        os=report.os,
        attributes=attributes_of(node, report),
    )
