"""What an administrator does to a node. Each act is durable, audited, and seen by the peers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Address, ip_address

from meshbox.errors import Conflict, Invalid, MeshboxError, NotFound
from meshbox.tailnet.addresses import Address
from meshbox.tailnet.model import Audit, Node
from meshbox.tailnet.names import sanitise
from meshbox.tailnet.ports import Delete, Put
from meshbox.tailnet.tags import check_tags, require_defined
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import require as require_user


def require(t: Tailnet, node_id: int) -> Node:
    node = t.nodes.get(node_id)
    if node is None:
        raise NotFound(f"there is no node with id {node_id}")
    return node


def rename(t: Tailnet, node_id: int, name: str, actor: str, now: float) -> Node:
    """Choose the MagicDNS label; it then survives new host names. Raises Invalid, Conflict."""
    node = require(t, node_id)
    label = name.lower()
    if not label or sanitise(label) != label:
        raise Invalid(f"{name!r} cannot be a node name: letters, digits and dashes, at most 63")
    if t.by_name.get(label, node_id) != node_id:
        raise Conflict(f"there is already a node named {label!r}")
    return _replace(t, replace(node, name=label, name_is_chosen=True), actor, "node.rename", now)


def expire(t: Tailnet, node_id: int, at: float, actor: str, now: float) -> Node:
    """Let the node's key expire at a time; now or earlier logs the node out."""
    node = require(t, node_id)
    return _replace(t, replace(node, expires_at=at), actor, "node.expire", now)


def never_expire(t: Tailnet, node_id: int, actor: str, now: float) -> Node:
    node = require(t, node_id)
    return _replace(t, replace(node, expires_at=None), actor, "node.never_expire", now)


def renew(t: Tailnet, node_id: int, lasts: float | None, actor: str, now: float) -> Node:
    """Let the node's key live `lasts` seconds from now, or as long as a new login would; an expired one comes
    back to life without anybody at the device."""
    node = require(t, node_id)
    period = t.settings.node_expiry if lasts is None and not node.is_tagged else lasts
    return _replace(t, replace(node, expires_at=now + period if period else None), actor, "node.renew", now)


def approve(t: Tailnet, node_id: int, actor: str, now: float) -> Node:
    """Let a node out of the waiting room."""
    node = require(t, node_id)
    return _replace(t, replace(node, is_approved=True), actor, "node.approve", now)


def set_address(t: Tailnet, node_id: int, text: str, actor: str, now: float) -> Node:
    """Give the node this address in place of the one it has of that family. Raises Invalid, Conflict."""
    node = require(t, node_id)
    address = _parse_address(text)
    old = node.ipv4 if isinstance(address, IPv4Address) else node.ipv6
    if address == old:
        return node
    moved = replace(node, ipv4=address) if isinstance(address, IPv4Address) else replace(node, ipv6=address)
    t.addresses.take(address)
    try:
        t.commit(now, Put(moved), Audit(now, actor, "node.set_address", node.name, f"{address}, was {old}"))
    except MeshboxError:
        t.addresses.release(address)
        raise
    if old is not None:
        t.addresses.release(old)
    return moved


def set_tags(t: Tailnet, node_id: int, tags: Iterable[str], actor: str, now: float) -> Node:
    """Tag the node: it then belongs to nobody and its key does not expire."""
    node = require(t, node_id)
    checked = check_tags(tags)
    require_defined(t, checked)
    if not checked:
        raise Invalid("a node cannot lose all its tags: it would belong to nobody; give it to a user instead")
    tagged = replace(node, tags=checked, user_id=None, expires_at=None)
    return _replace(t, tagged, actor, "node.tag", now)


def set_owner(t: Tailnet, node_id: int, user_id: int, actor: str, now: float) -> Node:
    """Give the node to a user; its tags go. What was tagged never expired: now it does, like a login."""
    node = require(t, node_id)
    require_user(t, user_id)
    moved = replace(node, user_id=user_id, tags=())
    if node.is_tagged and t.settings.node_expiry:
        moved = replace(moved, expires_at=now + t.settings.node_expiry)
    return _replace(t, moved, actor, "node.move", now)


def delete(t: Tailnet, node_id: int, actor: str, now: float) -> None:
    node = require(t, node_id)
    t.commit(now, Delete("node", node_id), Audit(now, actor, "node.delete", node.name))


def _parse_address(text: str) -> Address:
    try:
        return ip_address(text.strip())
    except ValueError:
        raise Invalid(f"{text[:60]!r} is not an IP address; write it like 100.64.0.7") from None


def _replace(t: Tailnet, node: Node, actor: str, action: str, now: float) -> Node:
    if node != t.nodes[node.id]:
        t.commit(now, Put(node), Audit(now, actor, action, node.name))
    return node
