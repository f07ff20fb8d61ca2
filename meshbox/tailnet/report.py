"""What a node tells about itself: from a MapRequest to soft facts.

The request's node key must be bound to the tunnel's machine key; everything else in it is the node's
own word, capped by the parser. What the node leaves out stays as it was: clients omit NetInfo when
they have nothing new, and a home relay that was forgotten makes a node unreachable.
"""

from __future__ import annotations

from dataclasses import replace

from meshbox.errors import Unauthorised, UnknownNode
from meshbox.tailnet.identity import free_label
from meshbox.tailnet.model import Node, Report
from meshbox.tailnet.ports import Put
from meshbox.tailnet.routes import approve_by_policy
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.keys import MachineKey, NodeKey
from meshbox.wire.tailcfg import Hostinfo, MapRequest, RegisterRequest

RENAME_PAUSE = 10.0
"""Seconds between two automatic renames of a node. Each is a durable write and news to all peers,
and the host name is the device's own word."""


def bind(t: Tailnet, machine_key: MachineKey, node_key: NodeKey) -> Node:
    """The node with this key on this machine. Raises UnknownNode, Unauthorised."""
    node = t.nodes.get(t.by_node_key.get(node_key, 0))
    if node is None:
        raise UnknownNode("node not found")
    if node.machine_key != machine_key:
        raise Unauthorised("node key does not belong to this machine")
    return node


def take(t: Tailnet, machine_key: MachineKey, request: MapRequest, now: float) -> Node:
    """Note what the request reports and return the node. Raises UnknownNode, Unauthorised."""
    node = bind(t, machine_key, request.node_key)
    if request.read_only:
        return node
    old = t.report(node.id)
    new = replace(old, endpoints=request.endpoints, capver=request.version, last_seen=now)
    if request.disco_key is not None:
        new = replace(new, disco_key=request.disco_key)
    if request.hostinfo is not None:
        new = _with_hostinfo(new, request.hostinfo)
    # Seeing a node again is no news by itself: an unchanged report must cost no write and no wake-up.
    if replace(new, last_seen=old.last_seen) != old:
        t.tell(node.id, new)
        if new.advertised_routes != old.advertised_routes:
            approve_by_policy(t, (node.id,), now)
            node = t.nodes[node.id]
    if request.hostinfo is not None:
        node = _follow_hostname(t, node, request.hostinfo.hostname, now)
    return node


def note_registration(t: Tailnet, node: Node, request: RegisterRequest, now: float) -> None:
    """The host facts of a device's first registration. Later ones tell nothing: their Hostinfo lacks
    the network part, and the map request that follows at once has all of it."""
    if request.hostinfo is not None and node.id not in t.reports:
        t.tell(node.id, _with_hostinfo(Report(capver=request.version), request.hostinfo))
        approve_by_policy(t, (node.id,), now)


def _with_hostinfo(report: Report, hostinfo: Hostinfo) -> Report:
    if hostinfo.full == report.hostinfo:
        return report
    return replace(
        report,
        hostinfo=hostinfo.full,
        peer_hostinfo=hostinfo.for_peers,
        home_derp=hostinfo.preferred_derp or report.home_derp,
        advertised_routes=hostinfo.routable_ips,
        os=hostinfo.os,
        client_version=hostinfo.client_version,
    )


def _follow_hostname(t: Tailnet, node: Node, hostname: str, now: float) -> Node:
    """A device that was renamed takes its MagicDNS name along, unless an administrator chose one."""
    if not hostname or hostname == node.hostname:
        return node
    if now - t.renamed_at.get(node.id, 0.0) < RENAME_PAUSE:
        return node
    t.renamed_at[node.id] = now
    name = node.name if node.name_is_chosen else free_label(t, hostname, node.id)
    renamed = replace(node, hostname=hostname, name=name)
    t.commit(now, Put(renamed))
    return renamed
