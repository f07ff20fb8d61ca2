"""Selectors: the words that stand for people, devices and addresses in a rule.

`Names.parse` turns one word into a Selector or refuses it; where a selector may stand is decided by
the rule that holds it (policy/reading*.py). The prefix is looked at before any `@`, because a group
from an identity provider may be called `group:sec@example.com`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

from meshbox.policy.spans import Span, parse_span
from meshbox.policy.world import ROLES

Kind = Literal[
    "any", "user", "domain", "group", "tag", "host", "prefix", "ipset", "service",
    "member", "tagged", "role", "self", "internet", "danger-all", "shared",
]  # fmt: skip

IDENTITIES: frozenset[Kind] = frozenset(
    {"user", "domain", "group", "tag", "member", "tagged", "role", "shared"}
)
"""Selectors that stand for devices by who they are; the others stand for addresses."""

_AUTOGROUPS: dict[str, Kind] = {
    "member": "member",
    "members": "member",
    "tagged": "tagged",
    "self": "self",
    "internet": "internet",
    "danger-all": "danger-all",
    "shared": "shared",
    **dict.fromkeys(ROLES, "role"),
}


class BadSelector(ValueError):
    """The inner part of the message: `tag not found: "tag:x"`."""


@dataclass(frozen=True, slots=True)
class Selector:
    """`text` as written; `name` is what it names: the login, `tag:x`, `group:x`, domain, role or host;
    `span` the addresses of a host, an address or a prefix."""

    kind: Kind
    text: str
    name: str = ""
    span: Span | None = None

    @property
    def is_autogroup(self) -> bool:
        return self.text.startswith("autogroup:")


ANY = Selector("any", "*")


@dataclass(frozen=True, slots=True)
class Names:
    """What a policy defines and selectors may refer to."""

    groups: Collection[str]
    tags: Collection[str]
    hosts: Mapping[str, Span]
    ipsets: Collection[str]

    def parse(self, text: str) -> Selector:
        """One word without surrounding white space. Raises BadSelector."""
        if text == "*":
            return ANY
        prefix, colon, rest = text.partition(":")
        if colon:
            match prefix:
                case "tag":
                    return self._defined(Selector("tag", text, fold_tag(text)), self.tags)
                case "group":
                    return self._defined(Selector("group", text, text), self.groups)
                case "ipset":
                    return self._defined(Selector("ipset", text, text), self.ipsets)
                case "autogroup":
                    return _autogroup(text, rest)
                case "svc":
                    return Selector("service", text, text)
                case "host":
                    return self._host(text, rest)
                case "user" if rest.startswith("*@") and len(rest) > 2:
                    return Selector("domain", text, rest[2:])
        if text in self.hosts:
            return self._host(text, text)
        if "@" in text:
            return Selector("user", text, text)
        span = parse_span(text)
        if span is None:
            raise BadSelector(f'"{text}": invalid address')
        return Selector("prefix", text, span=span)

    def _host(self, text: str, name: str) -> Selector:
        span = self.hosts.get(name)
        if span is None:
            raise BadSelector(f'host not found: "{name}"')
        return Selector("host", text, name, span)

    def _defined(self, selector: Selector, names: Collection[str]) -> Selector:
        if selector.name not in names:
            raise BadSelector(f'{selector.kind} not found: "{selector.text}"')
        return selector


def _autogroup(text: str, name: str) -> Selector:
    kind = _AUTOGROUPS.get(name)
    if kind is None:
        raise BadSelector(f'autogroup not found: "{text}"')
    return Selector(kind, text, name)


def fold_tag(tag: str) -> str:
    """Tag names are the same in capitals and small letters."""
    return tag.lower()
