"""Reading `nodeAttrs`, `autoApprovers` and `derpMap`."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_network

from meshbox.errors import Invalid
from meshbox.policy.cursor import Cursor
from meshbox.policy.document import AutoApprovers, NodeAttr, Selectors
from meshbox.policy.ranges import CGNAT, CHROME_OS, SERVICE
from meshbox.policy.relays import Relays
from meshbox.policy.selectors import Kind
from meshbox.policy.spans import Prefix, span_of_prefix
from meshbox.policy.words import OWNERS, TARGETS, Words
from meshbox.wire.derpmap import merge, parse_file


def read_node_attr(at: Cursor, index: int, words: Words) -> NodeAttr:
    fields = at.fields(("target", "attr", "app", "ipPool"))
    attr, app, pool = fields.get("attr"), fields.get("app"), fields.get("ipPool")
    return NodeAttr(
        index=index,
        target=_selectors(fields.get("target"), words, TARGETS),
        attr=attr.texts() if attr else (),
        app={name: value.json() for name, value in app.members()} if app else {},
        ip_pool=tuple(_pool(item) for item in pool.items()) if pool else (),
        spot=at.spot,
    )


def _selectors(at: Cursor | None, words: Words, allowed: frozenset[Kind]) -> Selectors:
    found = []
    for item in at.items() if at else []:
        selector = words.selector(item, allowed)
        words.check_domain(item, selector)
        found.append(selector)
    return tuple(found)


def _pool(at: Cursor) -> IPv4Network:
    text = at.text().strip()
    prefix = _prefix(at)
    span = span_of_prefix(prefix)
    if not isinstance(prefix, IPv4Network) or not CGNAT.covers(span):
        at.refuse(f"IPPool({text}): network must be within {CGNAT.text}")
    # A pool around them is fine: they are skipped when addresses are handed out.
    if SERVICE.covers(span) or CHROME_OS.covers(span):
        at.refuse(f"IPPool({text}): network within reserved range")
    return prefix


def _prefix(at: Cursor) -> Prefix:
    text = at.text().strip()
    try:
        return ip_network(text, strict=False)
    except ValueError:
        at.refuse(f'"{text}": invalid prefix')


def read_approvers(at: Cursor | None, words: Words) -> AutoApprovers:
    if at is None:
        return AutoApprovers()
    fields = at.fields(("routes", "exitNode", "services"))
    routes = fields["routes"].members() if "routes" in fields else []
    if "services" in fields and fields["services"].members():
        fields["services"].refuse("autoApprovers.services: this server has no services")
    return AutoApprovers(
        routes=tuple((_route(name, who), _selectors(who, words, OWNERS)) for name, who in routes),
        exit_node=_selectors(fields.get("exitNode"), words, OWNERS),
    )


def _route(name: str, at: Cursor) -> Prefix:
    try:
        return ip_network(name.strip(), strict=False)
    except ValueError:
        at.refuse(f'autoApprovers.routes["{name}"]: invalid prefix')


def read_relays(at: Cursor | None) -> Relays | None:
    if at is None:
        return None
    try:
        regions = parse_file(at.value)
        # Names that stand twice within the policy are its own mistake.
        merge(regions)
    except Invalid as error:
        at.refuse(str(error).replace("DERP map", "derpMap", 1))
    fields = {name.lower(): member.value for name, member in at.members()}
    return Relays(regions, fields.get("omitdefaultregions") is True)
