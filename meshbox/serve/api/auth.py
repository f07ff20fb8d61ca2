"""/api/v1/auth: devices that asked to come in without a key, and wait for a person."""

from __future__ import annotations

from meshbox.errors import Invalid, NotFound
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_user
from meshbox.serve.api.shapes import node_json, pending_json
from meshbox.tailnet import enrol


@endpoint("GET", "/auth", Audience.ADMINISTRATOR)
def list_waiting(call: Call) -> Listing:
    waiting = [entry for entry in call.tailnet.pending.values() if entry.state == "waiting"]
    return Listing("registrations", waiting, lambda entry: pending_json(entry, call.context.server_url))


@endpoint("GET", "/auth/{id}", Audience.ADMINISTRATOR)
def show_registration(call: Call) -> Json:
    pending = call.tailnet.pending.get(pending_id(call.path["id"]))
    if pending is None:
        raise NotFound(f"no registration {call.path['id']!r}: it expired or never was")
    return {"registration": pending_json(pending, call.context.server_url)}


@endpoint("POST", "/auth/register", Audience.ADMINISTRATOR)
def register(call: Call) -> Json:
    return _let_in(call, call.wants("authId"))


@endpoint("POST", "/auth/approve", Audience.ADMINISTRATOR)
def approve(call: Call) -> Json:
    return _let_in(call, call.wants("authId"))


@endpoint("POST", "/node/register", Audience.ADMINISTRATOR)
def register_old(call: Call) -> Json:
    """The spelling of 0.28 and before, with the fields in the query or the body."""
    return _let_in(call, call.wants("key"))


@endpoint("POST", "/auth/reject", Audience.ADMINISTRATOR)
def reject(call: Call) -> Json:
    enrol.reject(call.tailnet, pending_id(call.wants("authId")), call.actor, call.now)
    return {}


def pending_id(text: str) -> str:
    """The id in what people paste: the id itself, or the link that the device showed."""
    return text.strip().rstrip("/").rpartition("/")[2]


def _let_in(call: Call, given: str) -> Json:
    owner = call.text("user")
    if not owner:
        raise Invalid("user: is missing; say whose device it will be")
    user = find_user(call.tailnet, owner)
    node = enrol.approve(call.tailnet, pending_id(given), user.id, call.actor, call.now)
    return {"node": node_json(call.tailnet, node, call.now)}
