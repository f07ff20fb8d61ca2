"""The tailnet as a policy sees it: people and devices as plain values, whatever keeps them.

A device has tags or belongs to a person, never both. Ids are positive and never used again: a set of
devices is an integer with bit `id` set (policy/sight.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from meshbox.policy.spans import Prefix

Role = Literal["owner", "admin", "it-admin", "network-admin", "billing-admin", "auditor", "member"]
ROLES: tuple[Role, ...] = ("owner", "admin", "it-admin", "network-admin", "billing-admin", "auditor")
"""Roles with an autogroup of their own; "member" is everybody's."""

Attribute = str | bool | int | float


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who owns devices. `login` is an e-mail address or another name with `@`, "" when there
    is none; `groups` are the identity provider's, spelled `group:x`."""

    id: int
    login: str = ""
    name: str = ""
    role: Role = "member"
    groups: frozenset[str] = frozenset()

    @property
    def domain(self) -> str:
        """What follows the `@` of the login; compared as it is written."""
        return self.login.rpartition("@")[2] if "@" in self.login else ""


@dataclass(frozen=True, slots=True)
class Device:
    """`advertised` is what it offers to route, `routes` what of that is approved and so in force, exit
    routes included. `created` decides which of several routers for a prefix is first in line,
    `is_online` whether it is passed over, `carries` are the routes it keeps while it is online, whoever
    comes back. `is_connector` says that it offers to be an app connector (policy/connectors.py)."""

    id: int
    user_id: int | None = None
    tags: tuple[str, ...] = ()
    ipv4: IPv4Address | None = None
    ipv6: IPv6Address | None = None
    advertised: tuple[Prefix, ...] = ()
    routes: tuple[Prefix, ...] = ()
    created: float = 0.0
    is_online: bool = True
    carries: tuple[Prefix, ...] = ()
    os: str = ""
    attributes: tuple[tuple[str, Attribute], ...] = ()
    is_connector: bool = False

    @property
    def subnet_routes(self) -> tuple[Prefix, ...]:
        return tuple(route for route in self.routes if route.prefixlen)

    @property
    def exit_routes(self) -> tuple[Prefix, ...]:
        return tuple(route for route in self.routes if not route.prefixlen)

    @property
    def addresses(self) -> tuple[IPv4Address | IPv6Address, ...]:
        return tuple(address for address in (self.ipv4, self.ipv6) if address is not None)


@dataclass(frozen=True, slots=True)
class World:
    """Everybody and everything. `domains` are the mail domains that are the tailnet's own; None when
    nobody said which, and then every domain that a login has counts. `prefixes` are the ranges that
    addresses come from, where they are not the usual ones."""

    people: Mapping[int, Person] = field(default_factory=dict)
    devices: Mapping[int, Device] = field(default_factory=dict)
    domains: frozenset[str] | None = None
    prefixes: tuple[Prefix, ...] = ()

    def groups(self) -> frozenset[str]:
        """The groups that the identity provider named."""
        return frozenset().union(*(person.groups for person in self.people.values()))
