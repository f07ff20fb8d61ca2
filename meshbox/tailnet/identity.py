"""Which node a device is after it logged in: one it already was, or a new one.

The record is kept, with its id, addresses, name and approvals, when the same machine logs in for
the same owner (a key rotation), or when a login changes between tagged and user-owned and names
its old node key. Another user on the same machine is another node: nobody's node is taken over.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace

from meshbox.policy.world import Device
from meshbox.tailnet.model import Node, RegisterMethod
from meshbox.tailnet.names import sanitise, unique
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.keys import MachineKey
from meshbox.wire.tailcfg import RegisterRequest

STABLE_ID_BYTES = 9


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose the node will be, and by which right; `is_trusted`: an administrator has already agreed. Its key
    expires at `until`; None is as the settings say."""

    user_id: int | None = None
    tags: tuple[str, ...] = ()
    ephemeral: bool = False
    auth_key_id: int | None = None
    method: RegisterMethod = "key"
    is_trusted: bool = False
    until: float | None = None

    def owns(self, node: Node) -> bool:
        if self.tags:
            return node.is_tagged
        return not node.is_tagged and node.user_id == self.user_id


@dataclass(frozen=True, slots=True)
class Settled:
    """The record to commit. `undo` gives back what was taken for it when the commit failed."""

    node: Node
    created: bool

    def undo(self, t: Tailnet) -> None:
        if self.created:
            for address in self.node.addresses:
                t.addresses.release(address)


@dataclass(frozen=True, slots=True)
class Login:
    """A device that may come in: who it is, what it asked, whose it will be."""

    machine_key: MachineKey
    request: RegisterRequest
    owner: Owner


def settle_node(t: Tailnet, login: Login, now: float) -> Settled:
    """The node this login makes or renews. Raises Exhausted when no address is free."""
    known = _known_node(t, login)
    if known is None:
        return Settled(_new_node(t, login, now), created=True)
    owner = login.owner
    renewed = replace(
        known,
        node_key=login.request.node_key,
        user_id=None if owner.tags else owner.user_id,
        tags=owner.tags,
        expires_at=_expiry(t, login, now),
        ephemeral=owner.ephemeral or login.request.ephemeral,
        auth_key_id=owner.auth_key_id,
        register_method=owner.method,
        is_approved=known.is_approved or owner.is_trusted,
    )
    return Settled(renewed, created=False)


def free_label(t: Tailnet, hostname: str, own_id: int = 0) -> str:
    """The MagicDNS label for a host name, not used by any other node."""
    return unique(sanitise(hostname), lambda label: t.by_name.get(label, own_id) != own_id)


def _known_node(t: Tailnet, login: Login) -> Node | None:
    of_machine = t.nodes_of_machine(login.machine_key)
    for node in of_machine:
        if login.owner.owns(node):
            return node
    for node in of_machine:
        # Between tagged and user-owned the same device stays the same node.
        if node.node_key == login.request.old_node_key and bool(login.owner.tags) != node.is_tagged:
            return node
    return None


def _new_node(t: Tailnet, login: Login, now: float) -> Node:
    request, owner = login.request, login.owner
    hostname = request.hostinfo.hostname if request.hostinfo else ""
    os = request.hostinfo.os if request.hostinfo else ""
    tags = owner.tags
    own, all_pools = t.enforcement.address_pools(Device(0, None if tags else owner.user_id, tags, os=os))
    ipv4, ipv6 = t.addresses.allocate(t.entropy, own, all_pools)
    return Node(
        id=t.store.new_id("node"),
        stable_id="n" + base64.urlsafe_b64encode(t.entropy(STABLE_ID_BYTES)).decode(),
        machine_key=login.machine_key,
        node_key=request.node_key,
        name=free_label(t, hostname),
        created_at=now,
        user_id=None if tags else owner.user_id,
        tags=tags,
        hostname=hostname,
        ipv4=ipv4,
        ipv6=ipv6,
        expires_at=_expiry(t, login, now),
        ephemeral=owner.ephemeral or request.ephemeral,
        auth_key_id=owner.auth_key_id,
        register_method=owner.method,
        is_approved=owner.is_trusted or not t.settings.needs_approval,
    )


def _expiry(t: Tailnet, login: Login, now: float) -> float | None:
    """Tagged nodes do not expire by default; a client may only ask for less time."""
    until = login.owner.until
    if until is None and t.settings.node_expiry:
        until = now + t.settings.node_expiry
    wishes = [] if login.owner.tags or until is None else [until]
    if login.request.expiry is not None:
        wishes.append(login.request.expiry)
    return min(wishes, default=None)
