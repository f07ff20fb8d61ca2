"""Reading `acls` and `grants`."""

from __future__ import annotations

import re

from meshbox.policy.cursor import Cursor
from meshbox.policy.document import Acl, Grant, Selectors, Target
from meshbox.policy.ranges import DEFAULT_ROUTES
from meshbox.policy.selectors import Selector, fold_tag
from meshbox.policy.services import BadService, Service, parse_ports, parse_protocol, parse_service
from meshbox.policy.words import SELF_SOURCES, Words, check_pairs

_CAPABILITY = re.compile(r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)/\S+", re.ASCII)
_BRACKETS = re.compile(r"\[([^\]]*)\](/[0-9]+)?", re.ASCII)
OWN_DOMAIN = "tailscale.com"
GRANTABLE = frozenset(
    f"tailscale.com/cap/{name}"
    for name in (
        "drive",
        "file-send",
        "golink",
        "kubernetes",
        "relay",
        "secrets",
        "tailsql",
        "tsidp",
        "webui",
    )
)
"""Capabilities of the client's own domain that people may hand out. The rest (funnel, ingress,
relay-target ...) are made by the server: granted by hand they would open doors no rule shows."""


def read_acl(at: Cursor, index: int, words: Words) -> Acl:
    fields = at.fields(("action", "src", "users", "dst", "ports", "proto", "srcPosture"))
    action = fields["action"].text() if "action" in fields else ""
    if action != "accept":
        fields.get("action", at).refuse(f'action="{action}" is not supported')
    src_at, dst_at = fields.get("src") or fields.get("users"), fields.get("dst") or fields.get("ports")
    src = tuple(words.source(item) for item in src_at.items()) if src_at else ()
    protocol = _protocol(fields.get("proto"))
    dst = tuple(_target(item, protocol, words) for item in dst_at.items()) if dst_at else ()
    if any(target.selector.kind == "self" for target in dst):
        check_self_sources(at, src, may_be_any=True)
    check_pairs(at, src, dst, "sources and destinations")
    posture = fields.get("srcPosture")
    return Acl(index, src, dst, protocol, words.postures(posture) if posture else None, at.spot)


def _protocol(at: Cursor | None) -> int | None:
    if at is None:
        return None
    try:
        return parse_protocol(at.text())
    except BadService as error:
        at.refuse(str(error))


def _target(at: Cursor, protocol: int | None, words: Words) -> Target:
    text = at.text().strip()
    host, colon, ports = text.rpartition(":")
    if not colon:
        at.refuse(f'dst="{text}": hostport must contain a colon')
    try:
        ranges = parse_ports(ports, protocol)
    except BadService as error:
        at.refuse(f'dst="{text}": {error}')
    brackets = _BRACKETS.fullmatch(host)
    if brackets:
        host = brackets[1] + (brackets[2] or "")
    return Target(words.destination(at, host), ranges)


def check_self_sources(at: Cursor, src: Selectors, may_be_any: bool) -> None:
    """Opposite `autogroup:self` stand only people; an acl may say `*` as well."""
    if any(one.kind not in SELF_SOURCES and not (may_be_any and one.kind == "any") for one in src):
        at.refuse("autogroup:self can only be used with users, groups, or supported autogroups")


def read_grant(at: Cursor, index: int, words: Words) -> Grant:
    fields = at.fields(("src", "dst", "ip", "app", "via", "srcPosture"))
    ip_at, app_at = fields.get("ip"), fields.get("app")
    if not (ip_at and ip_at.items()) and not (app_at and app_at.members()):
        at.refuse("ip and app can not both be empty")
    src = tuple(words.source(item) for item in fields["src"].items()) if "src" in fields else ()
    dst = tuple(_destination(item, words) for item in fields["dst"].items()) if "dst" in fields else ()
    if any(selector.kind == "self" for selector in dst):
        check_self_sources(at, src, may_be_any=False)
    via = tuple(_via(item, words) for item in fields["via"].items()) if "via" in fields else ()
    services = tuple(service for item in ip_at.items() for service in _service(item)) if ip_at else ()
    if app_at:
        _check_capabilities(app_at, dst)
    check_pairs(at, src, dst, "sources and destinations")
    check_pairs(at, dst, services, "destinations and ports")
    posture = fields.get("srcPosture")
    return Grant(
        index,
        src,
        dst,
        services,
        {name: value.json() for name, value in app_at.members()} if app_at else {},
        via,
        words.postures(posture) if posture else None,
        at.spot,
    )


def _destination(at: Cursor, words: Words) -> Selector:
    text = at.text().strip()
    selector = words.destination(at, text)
    if selector.span is not None and selector.span.text in DEFAULT_ROUTES:
        at.refuse(f'dst "{text}": to allow all IP addresses, use "*" or "autogroup:internet"')
    return selector


def _service(at: Cursor) -> list[Service]:
    try:
        return parse_service(at.text().strip())
    except BadService as error:
        at.refuse(str(error))


def _via(at: Cursor, words: Words) -> str:
    tag = at.text().strip()
    if not tag.startswith("tag:"):
        at.refuse("via can only be a tag")
    if fold_tag(tag) not in words.names.tags:
        at.refuse(f'tag "{tag}" not found')
    return fold_tag(tag)


def _check_capabilities(at: Cursor, dst: Selectors) -> None:
    for name, values in at.members():
        form = _CAPABILITY.fullmatch(name)
        if form is None:
            values.refuse("capability name must have the form {domain}/{path}")
        if form[1].lower() == OWN_DOMAIN and name not in GRANTABLE:
            values.refuse("capability name must not be in the tailscale.com domain")
        if values.value is not None:
            values.items()
    if any(selector.kind == "internet" for selector in dst):
        at.refuse("cannot use app grants with autogroup:internet")
