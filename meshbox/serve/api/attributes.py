"""/api/v1/node/{node}/attributes: what device postures know about a node."""

from __future__ import annotations

from typing import Any

from meshbox.errors import Invalid
from meshbox.policy.world import Attribute
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_node
from meshbox.tailnet.attributes import change
from meshbox.tailnet.model import Node
from meshbox.tailnet.reported import attributes_of


@endpoint("GET", "/node/{node}/attributes", Audience.ADMINISTRATOR)
def show(call: Call) -> Json:
    return _answer(call, find_node(call.tailnet, call.path["node"]))


@endpoint("POST", "/node/{node}/attributes", Audience.ADMINISTRATOR)
def set_attributes(call: Call) -> Json:
    """`attributes`: name -> value, null to take one away. What is not named stays."""
    node = find_node(call.tailnet, call.path["node"])
    wish = read_wish(call.body.get("attributes"))
    return _answer(call, change(call.tailnet, node, wish, call.actor, call.now))


def read_wish(given: Any) -> dict[str, Attribute | None]:
    if not isinstance(given, dict) or not given:
        raise Invalid("attributes: wants an object of names and values")
    for name, value in given.items():
        if value is not None and not isinstance(value, str | bool | int | float):
            raise Invalid(f"{name[:80]}: wants text, a number, true, false or null")
    return given


def _answer(call: Call, node: Node) -> Json:
    found = attributes_of(node, call.tailnet.report(node.id))
    return {"node": node.name, "attributes": dict(found)}
