"""/api/v1/ssh: logins by Tailscale SSH that wait until a person has confirmed them."""

from __future__ import annotations

from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json, Listing
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.moments import write_moment
from meshbox.tailnet import checks
from meshbox.tailnet.model import Check
from meshbox.tailnet.tailnet import Tailnet


@endpoint("GET", "/ssh", Audience.ADMINISTRATOR)
def list_waiting(call: Call) -> Listing:
    waiting = [check for check in call.tailnet.checks.values() if check.state == "waiting"]
    return Listing("logins", waiting, lambda check: _shape(call.tailnet, check, call.context.server_url))


@endpoint("POST", "/ssh/approve", Audience.ADMINISTRATOR)
def approve(call: Call) -> Json:
    return _answer(call, checks.approve(call.tailnet, _named(call), call.actor, call.now))


@endpoint("POST", "/ssh/reject", Audience.ADMINISTRATOR)
def reject(call: Call) -> Json:
    return _answer(call, checks.reject(call.tailnet, _named(call), call.actor, call.now))


def _named(call: Call) -> str:
    """The id, or the whole link."""
    return call.wants("id").strip().rstrip("/").rpartition("/")[2]


def _answer(call: Call, check: Check) -> Json:
    return {"login": _shape(call.tailnet, check, call.context.server_url)}


def _shape(t: Tailnet, check: Check, server_url: str) -> Json:
    source, destination = t.nodes.get(check.source), t.nodes.get(check.destination)
    return {
        "id": check.id,
        "what": checks.describe(t, check),
        "source": "" if source is None else source.name,
        "sourceId": str(check.source),
        "destination": "" if destination is None else destination.name,
        "destinationId": str(check.destination),
        "login": check.login,
        "state": check.state,
        "createdAt": write_moment(check.created_at),
        "expiration": write_moment(check.created_at + checks.CHECK_LIFE),
        "url": server_url.rstrip("/") + check.path,
    }
