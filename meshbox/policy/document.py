"""A policy as it was written: every section parsed and checked, nothing resolved.

`None` is absent and an empty tuple is empty: without `acls` and `grants` everybody may reach
everybody, with an empty one of them nobody may reach anybody. Reading is in policy/reading.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from typing import Literal

from meshbox.policy.problem import Spot
from meshbox.policy.relays import Relays
from meshbox.policy.selectors import Selector
from meshbox.policy.services import PortRange, Service
from meshbox.policy.spans import Prefix, Span
from meshbox.policy.world import Attribute

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
Selectors = tuple[Selector, ...]
OneCgnat = Literal["", "mac-always", "mac-never"]
NOWHERE = Spot(0, 0)


@dataclass(frozen=True, slots=True)
class Text:
    """A string of the policy and where it stands."""

    value: str
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class Target:
    """A destination of an acl: who, and at which ports."""

    selector: Selector
    ports: tuple[PortRange, ...]


@dataclass(frozen=True, slots=True)
class Acl:
    """`index` is its position in `acls`, from 0. `src_posture` None: not said, so the default applies."""

    index: int
    src: Selectors
    dst: tuple[Target, ...]
    protocol: int | None = None
    src_posture: tuple[str, ...] | None = None
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class Grant:
    """`app` maps capabilities to their values, verbatim."""

    index: int
    src: Selectors
    dst: Selectors
    ip: tuple[Service, ...] = ()
    app: Mapping[str, Json] = field(default_factory=dict)
    via: tuple[str, ...] = ()
    src_posture: tuple[str, ...] | None = None
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class SshRule:
    """`check_period` is seconds: 0 asks every time, None is the default. `users` are login names,
    `autogroup:nonroot` and `localpart:*@domain` among them."""

    index: int
    action: Literal["accept", "check"]
    src: Selectors
    dst: Selectors
    users: tuple[str, ...]
    check_period: float | None = None
    accept_env: tuple[str, ...] = ()
    src_posture: tuple[str, ...] | None = None
    recorder: tuple[str, ...] = ()
    enforce_recorder: bool = False
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class AutoApprovers:
    """`routes` keeps the prefixes in the order written; `services` is keyed by `svc:x` or `tag:x`."""

    routes: tuple[tuple[Prefix, Selectors], ...] = ()
    exit_node: Selectors = ()
    services: Mapping[str, Selectors] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeAttr:
    index: int
    target: Selectors
    attr: tuple[str, ...] = ()
    app: Mapping[str, Json] = field(default_factory=dict)
    ip_pool: tuple[IPv4Network, ...] = ()
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """An entry of `tests`, unchecked: a malformed one is a test that fails."""

    src: str
    accept: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    proto: str = ""
    posture_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class SshTest:
    """An entry of `sshTests`, unchecked likewise."""

    src: str
    dst: tuple[str, ...] = ()
    accept: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    posture_attributes: Mapping[str, Attribute] = field(default_factory=dict)
    spot: Spot = NOWHERE


@dataclass(frozen=True, slots=True)
class Document:
    """The whole policy. Keys of `groups`, `tag_owners`, `ipsets` and `postures` have their prefix."""

    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hosts: Mapping[str, Span] = field(default_factory=dict)
    ipsets: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    tag_owners: Mapping[str, Selectors] = field(default_factory=dict)
    acls: tuple[Acl, ...] | None = None
    grants: tuple[Grant, ...] | None = None
    ssh: tuple[SshRule, ...] | None = None
    auto_approvers: AutoApprovers = field(default_factory=AutoApprovers)
    node_attrs: tuple[NodeAttr, ...] = ()
    postures: Mapping[str, tuple[Text, ...]] = field(default_factory=dict)
    default_src_posture: tuple[str, ...] = ()
    attr_config: Mapping[str, Json] = field(default_factory=dict)
    tests: tuple[PolicyTest, ...] = ()
    ssh_tests: tuple[SshTest, ...] = ()
    relays: Relays | None = None
    disable_ipv4: bool = False
    one_cgnat: OneCgnat = ""
    randomize_client_port: bool = False

    @property
    def allows_everything(self) -> bool:
        """Neither acls nor grants were written: everybody may reach everybody."""
        return self.acls is None and self.grants is None


EMPTY = Document()
