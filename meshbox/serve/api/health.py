"""/api/v1/health and /status: is it well, and what is going on."""

from __future__ import annotations

from meshbox import __version__
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Context, Json
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.moments import write_moment


@endpoint("GET", "/health", Audience.ADMINISTRATOR)
def health(call: Call) -> Json:
    problems, doubts = call.context.troubles()
    return {
        "databaseConnectivity": call.context.store_answers(),
        "problems": dict(problems),
        "doubts": dict(doubts),
    }


def policy_word(context: Context) -> str:
    """Which policy serves, in one word or a few."""
    in_force = context.tailnet.in_force
    if in_force.version is not None:
        return f"version {in_force.version.id}"
    return "none: everything is allowed" if in_force.document is None else "none: nothing is allowed"


@endpoint("GET", "/status", Audience.ADMINISTRATOR)
def status(call: Call) -> Json:
    t, context = call.tailnet, call.context
    return {
        "version": __version__,
        "serverUrl": context.server_url,
        "startedAt": write_moment(context.started_at),
        "databaseConnectivity": context.store_answers(),
        "users": len(t.users),
        "nodes": len(t.nodes),
        "nodesOnline": t.presence.online_count,
        "nodesExpired": len(t.expired),
        "nodesUnapproved": sum(not node.is_approved for node in t.nodes.values()),
        "sessions": t.presence.session_count,
        "policy": policy_word(call.context),
        "policyProblem": context.desk.fault,
        "registrationsWaiting": sum(entry.state == "waiting" for entry in t.pending.values()),
        **context.facts(),
    }
