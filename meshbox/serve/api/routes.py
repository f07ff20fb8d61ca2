"""/api/v1/route: what nodes offer to carry for others, and who may."""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_node
from meshbox.serve.api.shapes import node_json
from meshbox.tailnet import routes
from meshbox.tailnet.routes import RouteState


@endpoint("GET", "/route", Audience.ADMINISTRATOR)
def list_routes(call: Call) -> Listing:
    """Each route of each node that offers it or is approved for it."""
    t = call.tailnet

    def shape(found: RouteState) -> Json:
        return {
            "route": str(found.route),
            "nodeId": str(found.node.id),
            "node": found.node.name,
            "online": t.is_online(found.node.id),
            "state": found.state,
            "health": found.health,
        }

    return Listing("routes", routes.list_routes(t), shape)


@endpoint("POST", "/route/approve", Audience.ADMINISTRATOR)
def approve(call: Call) -> Json:
    """Let `node` carry `routes`; without any, all that it offers."""
    t, node = call.tailnet, find_node(call.tailnet, call.wants("node"))
    wanted = routes.parse_routes(call.texts("routes")) or t.report(node.id).advertised_routes
    return _answer(call, routes.approve(t, node.id, wanted, call.actor, call.now).id)


@endpoint("POST", "/route/withdraw", Audience.ADMINISTRATOR)
def withdraw(call: Call) -> Json:
    """Let `node` carry `routes` no longer; without any, none at all."""
    t, node = call.tailnet, find_node(call.tailnet, call.wants("node"))
    wanted = routes.parse_routes(call.texts("routes")) or node.approved_routes
    return _answer(call, routes.withdraw(t, node.id, wanted, call.actor, call.now).id)


def _answer(call: Call, node_id: int) -> Json:
    return {"node": node_json(call.tailnet, call.tailnet.nodes[node_id], call.now)}
