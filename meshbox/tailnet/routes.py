"""Routes: what nodes offer to carry, what of it is approved, and what approves itself.

A route is in force while a node offers it and it is approved. Approvals are hard facts and stay when the
node stops offering: a router that restarts without its flag and gets it back is what it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv6Network, ip_network
from typing import Literal

from meshbox.errors import Invalid
from meshbox.tailnet.devices import require
from meshbox.tailnet.model import Audit, Node, Prefix
from meshbox.tailnet.ports import Put, Step
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.hostinfo import ROUTE_LIMIT

EXIT_ROUTES: tuple[Prefix, Prefix] = (ip_network("0.0.0.0/0"), ip_network("::/0"))
FOUR_VIA_SIX = IPv6Network("fd7a:115c:a1e0:b1a::/64")
"""IPv4 networks of several sites, told apart in IPv6: lies inside the tailnet's own range, and is routed."""

State = Literal["primary", "standby", "waiting", "not offered"]
"""`waiting` is for approval; `standby` behind a primary, or for one that is offline."""

Health = Literal["well", "silent", "offline"]
"""`silent` has a session but gives no sign of life: another router carries its routes, if one is well."""


@dataclass(frozen=True, slots=True)
class RouteState:
    """One route of one node."""

    route: Prefix
    node: Node
    state: State
    health: Health


def parse_routes(texts: Iterable[str]) -> tuple[Prefix, ...]:
    """Prefixes as an administrator writes them; `exit` stands for both exit routes. Raises Invalid."""
    found: dict[Prefix, None] = {}
    for text in texts:
        if text.strip().lower() == "exit":
            found.update(dict.fromkeys(EXIT_ROUTES))
            continue
        try:
            route = ip_network(text.strip())
        except ValueError as error:
            raise Invalid(
                f"{text!r} is not a route: {error}; write a network as 10.0.0.0/24, or exit"
            ) from None
        # Clients offer and withdraw an exit node in both families at once.
        found.update(dict.fromkeys((route,) if route.prefixlen else EXIT_ROUTES))
    return tuple(found)


def set_approved(t: Tailnet, node_id: int, routes: Iterable[Prefix], actor: str, now: float) -> Node:
    """Let the node carry exactly these. Raises NotFound, Invalid."""
    node = require(t, node_id)
    wanted = tuple(sorted(set(routes), key=_order))
    if len(wanted) > ROUTE_LIMIT:
        raise Invalid(f"a node carries at most {ROUTE_LIMIT} routes, not {len(wanted)}")
    for route in set(wanted) - set(node.approved_routes):
        _check_foreign(t, route)
    if wanted == node.approved_routes:
        return node
    node = replace(node, approved_routes=wanted)
    detail = " ".join(map(str, wanted)) or "none"
    t.commit(now, Put(node), Audit(now, actor, "node.routes", node.name, detail))
    return node


def approve(t: Tailnet, node_id: int, routes: Iterable[Prefix], actor: str, now: float) -> Node:
    return set_approved(t, node_id, {*require(t, node_id).approved_routes, *routes}, actor, now)


def withdraw(t: Tailnet, node_id: int, routes: Iterable[Prefix], actor: str, now: float) -> Node:
    """The node carries them no longer. Raises Invalid for one it was never approved for."""
    node, away = require(t, node_id), set(routes)
    strange = sorted(away - set(node.approved_routes), key=_order)
    if strange:
        raise Invalid(f"{node.name} is not approved for {', '.join(map(str, strange))}")
    return set_approved(t, node_id, set(node.approved_routes) - away, actor, now)


def approve_by_policy(t: Tailnet, node_ids: Iterable[int], now: float) -> None:
    """Approve what `autoApprovers` of the policy lets these nodes carry, for good: a later policy takes
    nothing away. Asked when a node offers a route and when a policy is saved. Raises StoreError."""
    document = t.enforcement.document
    if document is None or not (document.auto_approvers.routes or document.auto_approvers.exit_node):
        return
    steps: list[Step] = []
    for node_id in node_ids:
        node, device = t.nodes.get(node_id), t.device(node_id)
        if node is None or device is None or not set(device.advertised) - set(device.routes):
            continue
        new = set(t.enforcement.compiled.approved_routes(device)) - set(node.approved_routes)
        if new:
            routes = tuple(sorted({*node.approved_routes, *new}, key=_order))
            detail = " ".join(map(str, sorted(new, key=_order)))
            steps.append(Put(replace(node, approved_routes=routes)))
            steps.append(Audit(now, "policy", "node.routes", node.name, detail))
    if steps:
        t.commit(now, *steps)


def list_routes(t: Tailnet) -> list[RouteState]:
    """Every route that a node offers or is approved for, routes first, then routers in line."""
    index = t.enforcement.compiled.index
    found = []
    for node in t.nodes.values():
        offered = t.report(node.id).advertised_routes
        for route in {*offered, *node.approved_routes}:
            if route not in offered:
                state: State = "not offered"
            elif route not in node.approved_routes or node.id not in index.routers.get(route, ()):
                state = "waiting"
            elif not t.is_online(node.id) or (route.prefixlen and index.primary(route) != node.id):
                state = "standby"
            else:
                state = "primary"
            found.append(RouteState(route, node, state, _health(t, node.id)))
    return sorted(found, key=lambda one: (_order(one.route), one.state != "primary", one.node.id))


def _health(t: Tailnet, node_id: int) -> Health:
    if not t.is_online(node_id):
        return "offline"
    return "well" if t.presence.is_well(node_id) else "silent"


def _check_foreign(t: Tailnet, route: Prefix) -> None:
    """A route into the tailnet's own addresses would take nodes away from their peers."""
    if not route.prefixlen or (isinstance(route, IPv6Network) and route.subnet_of(FOUR_VIA_SIX)):
        return
    for own in (t.settings.prefix_v4, t.settings.prefix_v6):
        if own is not None and own.version == route.version and own.overlaps(route):
            raise Invalid(f"{route} overlaps {own}, where the nodes themselves are")


def _order(route: Prefix) -> tuple[int, int, int]:
    # Exit routes last, as clients list them.
    return (route.version if route.prefixlen else 9, int(route.network_address), route.prefixlen)
