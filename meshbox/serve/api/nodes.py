"""/api/v1/node: the devices, and what an administrator does to them."""

from __future__ import annotations

from meshbox.errors import Invalid
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_node, find_user
from meshbox.serve.api.shapes import node_json
from meshbox.tailnet import devices, routes
from meshbox.tailnet.model import Node
from meshbox.tailnet.users import TAGGED_DEVICES_NAME


@endpoint("GET", "/node", Audience.ADMINISTRATOR)
def list_nodes(call: Call) -> Listing:
    """All nodes, or those of `user`."""
    t, wanted = call.tailnet, call.query.get("user", "")
    if wanted == TAGGED_DEVICES_NAME:
        found = [node for node in t.nodes.values() if node.is_tagged]
    elif wanted:
        found = t.nodes_of_user(find_user(t, wanted).id)
    else:
        found = list(t.nodes.values())
    return Listing("nodes", found, lambda node: node_json(t, node, call.now))


@endpoint("GET", "/node/{node}", Audience.ADMINISTRATOR)
def show_node(call: Call) -> Json:
    return _answer(call, _named(call))


@endpoint("DELETE", "/node/{node}", Audience.ADMINISTRATOR)
def delete_node(call: Call) -> Json:
    devices.delete(call.tailnet, _named(call).id, call.actor, call.now)
    return {}


@endpoint("POST", "/node/{node}/rename/{name}", Audience.ADMINISTRATOR)
def rename_node(call: Call) -> Json:
    node = _named(call)
    return _answer(call, devices.rename(call.tailnet, node.id, call.path["name"], call.actor, call.now))


@endpoint("POST", "/node/{node}/expire", Audience.ADMINISTRATOR)
def expire_node(call: Call) -> Json:
    """Now, at `expiry`, or with `disableExpiry` never."""
    node, at = _named(call), call.moment("expiry")
    if not call.flag("disableExpiry"):
        at = call.now if at is None else at
        return _answer(call, devices.expire(call.tailnet, node.id, at, call.actor, call.now))
    if at is not None:
        raise Invalid("expiry and disableExpiry exclude each other")
    return _answer(call, devices.never_expire(call.tailnet, node.id, call.actor, call.now))


@endpoint("POST", "/node/{node}/renew", Audience.ADMINISTRATOR)
def renew_node(call: Call) -> Json:
    """Until `expiry`, or without it as long as a new login lasts."""
    node, until = _named(call), call.moment("expiry")
    if until is not None and until <= call.now:
        raise Invalid("expiry: a key is renewed until a time to come; this one has passed")
    lasts = None if until is None else until - call.now
    return _answer(call, devices.renew(call.tailnet, node.id, lasts, call.actor, call.now))


@endpoint("POST", "/node/{node}/approve", Audience.ADMINISTRATOR)
def approve_node(call: Call) -> Json:
    return _answer(call, devices.approve(call.tailnet, _named(call).id, call.actor, call.now))


@endpoint("POST", "/node/{node}/ip", Audience.ADMINISTRATOR)
def set_address(call: Call) -> Json:
    """The node has `address` instead of its address of that family."""
    node, address = _named(call), call.wants("address")
    return _answer(call, devices.set_address(call.tailnet, node.id, address, call.actor, call.now))


@endpoint("POST", "/node/{node}/tags", Audience.ADMINISTRATOR)
def tag_node(call: Call) -> Json:
    """The node has exactly these tags afterwards, and no owner."""
    node, tags = _named(call), call.texts("tags")
    return _answer(call, devices.set_tags(call.tailnet, node.id, tags, call.actor, call.now))


@endpoint("POST", "/node/{node}/approve_routes", Audience.ADMINISTRATOR)
def approve_routes(call: Call) -> Json:
    """The node is approved for exactly these routes afterwards."""
    node, wanted = _named(call), routes.parse_routes(call.texts("routes"))
    return _answer(call, routes.set_approved(call.tailnet, node.id, wanted, call.actor, call.now))


@endpoint("POST", "/node/{node}/user", Audience.ADMINISTRATOR)
def move_node(call: Call) -> Json:
    """Give the node to another user, as Headscale could up to 0.27."""
    node, user = _named(call), find_user(call.tailnet, call.wants("user"))
    return _answer(call, devices.set_owner(call.tailnet, node.id, user.id, call.actor, call.now))


def _named(call: Call) -> Node:
    return find_node(call.tailnet, call.path["node"])


def _answer(call: Call, node: Node) -> Json:
    return {"node": node_json(call.tailnet, node, call.now)}
