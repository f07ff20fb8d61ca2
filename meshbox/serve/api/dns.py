"""/api/v1/dns: the names and resolvers that a node's client has, and what it answers to a name."""

from __future__ import annotations

from typing import cast

from meshbox.errors import Invalid
from meshbox.serve.api.audience import Audience
from meshbox.serve.api.call import Call, Json
from meshbox.serve.api.endpoint import endpoint
from meshbox.serve.api.lookup import find_node
from meshbox.tailnet.dnsquery import PEER_AAAA, Client, RecordType

NAME_LIMIT = 253


@endpoint("GET", "/dns", Audience.ADMINISTRATOR)
def show(call: Call) -> Json:
    """Of the node `as`, or without it what holds for a node without overrides."""
    settings = call.tailnet.settings
    if not call.text("as"):
        config = call.context.mapper.dns_view.config(None)
        return {"baseDomain": settings.dns.base_domain, "node": "", "config": config}
    node = find_node(call.tailnet, call.text("as"))
    config = call.context.mapper.dns_view.config(node)
    return {"baseDomain": settings.dns.base_domain, "node": node.name, "config": config}


@endpoint("GET", "/dns/query", Audience.ADMINISTRATOR)
def query(call: Call) -> Json:
    """What the client of the node `as` answers to `name`, of `type` A, AAAA or PTR."""
    name, kind = call.wants("name"), call.text("type").upper() or "A"
    node = find_node(call.tailnet, call.wants("as"))
    if kind not in ("A", "AAAA", "PTR"):
        raise Invalid(f"type: clients answer A, AAAA and PTR, not {kind[:20]!r}")
    if len(name) > NAME_LIMIT or not name.isprintable() or " " in name:
        raise Invalid("name: wants a domain name or an address")
    mapper = call.context.mapper
    view = mapper.outlook(node, call.now).view
    speaks_ipv6 = PEER_AAAA in call.tailnet.enforcement.self_caps(node.id)
    client = Client(call.tailnet, node, mapper.dns_view.config(node), view, speaks_ipv6)
    answer = client.ask(name, cast(RecordType, kind))
    return {
        "node": node.name,
        "name": answer.name,
        "type": kind,
        "outcome": answer.outcome,
        "why": answer.why,
        "values": list(answer.values),
        "resolvers": list(answer.resolvers),
    }
