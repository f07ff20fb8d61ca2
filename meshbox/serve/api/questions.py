"""/api/v1/node/{node}/ping and /ask: questions that the client of a node answers itself.

A ping asks for a sign of life. Anything else shows what runs on somebody's machine: it must be switched on
(c2n.enabled), each question stands in the audit, and there is a closed list of them.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from meshbox.errors import Invalid, Malformed, Refused, Unreachable
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_node
from meshbox.tailnet.model import Audit, Node
from meshbox.wire.c2n import (
    PING_TYPES,
    PingType,
    c2n_request,
    head_request,
    ping_request,
    read_pong,
    read_response,
)

PING_WITHIN = 12.0
"""Seconds. A client gives a ping ten."""
ASK_WITHIN = 20.0
ARGUMENT_LIMIT = 253


@dataclass(frozen=True, slots=True)
class Topic:
    """One thing to ask. `argument` is the query parameter that must be given, "" for none; `since` the first
    capability version whose clients answer."""

    method: str
    path: str
    help: str
    argument: str = ""
    since: int = 0


TOPICS = {
    "certificate": Topic("GET", "/tls-cert-status", "the HTTPS certificate it has for a domain", "domain"),
    "echo": Topic("GET", "/echo", "nothing: an empty answer"),
    "goroutines": Topic("GET", "/debug/goroutines", "what its threads are doing, for a bug report"),
    "health": Topic("GET", "/debug/health", "what it holds to be wrong with itself", since=128),
    "identity": Topic("GET", "/posture/identity?hwaddrs=true", "serial numbers and hardware addresses"),
    "metrics": Topic("GET", "/debug/metrics", "its counters"),
    "netmap": Topic("GET", "/debug/netmap", "the network map it works with", since=127),
    "prefs": Topic("GET", "/debug/prefs", "its settings"),
    "routes": Topic("GET", "/appconnector/routes", "the routes an app connector learned"),
    "services": Topic("GET", "/vip-services", "the services it offers"),
    "update": Topic("GET", "/update", "whether it can update itself"),
    "start-update": Topic("POST", "/update", "to update itself now"),
}


@endpoint("POST", "/node/{node}/ping", Audience.ADMINISTRATOR)
def ping(call: Call) -> Awaitable[Json]:
    """Without `to` the node shows that it hears the server; with it, that it reaches that node, by `via`."""
    node = find_node(call.tailnet, call.path["node"])
    to, via = call.text("to"), call.text("via") or "disco"
    if not to:
        return _knock(call, node)
    if via not in PING_TYPES:
        raise Invalid(f"via: wants {', '.join(PING_TYPES)}, found {via[:40]!r}")
    target = find_node(call.tailnet, to)
    if target.id == node.id:
        raise Invalid("to: a node does not ping itself")
    return _ping(call, node, target, via)


@endpoint("POST", "/node/{node}/ask", Audience.ADMINISTRATOR)
def ask(call: Call) -> Awaitable[Json]:
    """`what` is a topic, `argument` what it needs."""
    node = find_node(call.tailnet, call.path["node"])
    topic = TOPICS.get(call.wants("what"))
    if topic is None:
        raise Invalid(f"what: there are {', '.join(TOPICS)}")
    argument = call.text("argument")
    if bool(topic.argument) != bool(argument) or len(argument) > ARGUMENT_LIMIT:
        needs = f"needs the {topic.argument}" if topic.argument else "takes no argument"
        raise Invalid(f"argument: {call.text('what')} {needs}")
    if not call.tailnet.settings.may_ask:
        raise Refused("asking clients about themselves is switched off: set c2n.enabled to true first")
    capver = call.tailnet.report(node.id).capver
    if capver < topic.since:
        raise Refused(f"the client of node {node.name} is too old to answer that")
    detail = " ".join((call.text("what"), argument)).strip()
    call.tailnet.commit(call.now, Audit(call.now, call.actor, "node.ask", node.name, detail))
    target = f"{topic.path}?{topic.argument}={quote(argument)}" if argument else topic.path
    return _ask(call, node, topic.method, target)


async def _knock(call: Call, node: Node) -> Json:
    started = time.monotonic()
    await call.context.ask(node, head_request, PING_WITHIN)
    return {
        "node": node.name,
        "to": "the server",
        "seconds": round(time.monotonic() - started, 4),
        "via": "tunnel",
    }


async def _ping(call: Call, node: Node, target: Node, via: PingType) -> Json:
    address = str(target.addresses[0])
    question = partial(ping_request, kind=via, address=address)
    pong = read_pong(await call.context.ask(node, question, PING_WITHIN))
    if pong.error:
        raise Unreachable(f"node {node.name} cannot reach {target.name}: {pong.error}")
    way = f"relay {pong.relay}" if pong.relay else pong.endpoint or via
    return {"node": node.name, "to": target.name, "seconds": round(pong.seconds, 4), "via": way}


async def _ask(call: Call, node: Node, method: str, target: str) -> Json:
    question = partial(c2n_request, method=method, target=target, seconds=ASK_WITHIN - 2)
    response = read_response(await call.context.ask(node, question, ASK_WITHIN))
    text = response.body.decode("utf-8", "replace")
    if response.status != 200:
        raise Malformed(f"node {node.name} answered {response.status}: {text.strip()[:300]}")
    return {"node": node.name, "contentType": response.content_type, "text": text}
