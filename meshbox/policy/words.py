"""Reading the words of a rule: which selectors may stand where, and what is said of those that may not."""

from __future__ import annotations

from collections.abc import Sized
from dataclasses import dataclass, field

from meshbox.policy.cursor import Cursor
from meshbox.policy.selectors import BadSelector, Kind, Names, Selector

SOURCES: frozenset[Kind] = frozenset(
    {"any", "user", "domain", "group", "tag", "host", "prefix", "ipset", "member", "tagged", "role",
     "danger-all", "shared"}
)  # fmt: skip
DESTINATIONS: frozenset[Kind] = frozenset(
    {"any", "user", "domain", "group", "tag", "host", "prefix", "ipset", "member", "tagged", "role", "self",
     "internet"}
)  # fmt: skip
OWNERS: frozenset[Kind] = frozenset({"user", "domain", "group", "tag", "member", "tagged", "role"})
TARGETS: frozenset[Kind] = OWNERS | {"any", "host", "prefix", "ipset"}
SELF_SOURCES: frozenset[Kind] = frozenset({"user", "domain", "group", "member", "role"})
"""Who may stand opposite `autogroup:self`: people."""

MAX_PAIRS = 100_000
"""Of sources and destinations, and of destinations and ports, in one rule: each pair of the second kind is an
entry of a packet filter, and one line of policy must not become a gigabyte of it."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the tailnet knows and the text of a policy cannot: its mail domains (None: any) and the groups
    of the identity provider."""

    domains: frozenset[str] | None = None
    groups: frozenset[str] = frozenset()

    def has_domain(self, domain: str) -> bool:
        return self.domains is None or domain in self.domains


@dataclass(slots=True)
class Words:
    """The names of one policy. `spelling` remembers how members were written."""

    names: Names
    known: Known
    defined_postures: frozenset[str]
    spelling: set[str] = field(default_factory=set)

    def selector(self, at: Cursor, allowed: frozenset[Kind], prefix: str = "") -> Selector:
        """The word at the cursor. `prefix` begins the message of a refusal."""
        text = at.text().strip()
        selector = self.parse(at, text, prefix)
        if selector.kind not in allowed:
            at.refuse(f'{prefix}"{text}" is not valid here')
        return selector

    def parse(self, at: Cursor, text: str, prefix: str = "") -> Selector:
        try:
            selector = self.names.parse(text)
        except BadSelector as error:
            at.refuse(f"{prefix}{error}")
        if selector.kind == "member":
            self.spelling.add(text)
            if len(self.spelling) > 1:
                at.refuse("autogroup:member and its old name autogroup:members cannot be used together")
        return selector

    def source(self, at: Cursor) -> Selector:
        """A source of an acl or grant."""
        selector = self.parse(at, at.text().strip(), "src=")
        if selector.kind not in SOURCES:
            at.refuse(f'"{selector.text}" not valid on the src side of a rule')
        self.check_domain(at, selector)
        return selector

    def destination(self, at: Cursor, text: str) -> Selector:
        """A destination of an acl or grant, without ports."""
        selector = self.parse(at, text, f'dst="{text}": ')
        if selector.kind == "danger-all":
            at.refuse("cannot use autogroup:danger-all as a dst")
        if selector.kind == "service":
            at.refuse(f'dst="{text}": this server has no services')
        if selector.kind not in DESTINATIONS:
            at.refuse(f'"{text}" not valid on the dst side of a rule')
        self.check_domain(at, selector)
        return selector

    def check_domain(self, at: Cursor, selector: Selector, prefix: str = "") -> None:
        if selector.kind == "domain" and not self.known.has_domain(selector.name):
            at.refuse(
                f"{prefix}{selector.name} is not associated with this Tailnet and cannot be used in "
                "user:*@<domain> expressions"
            )

    def postures(self, at: Cursor) -> tuple[str, ...]:
        for item in at.items():
            if item.text() not in self.defined_postures:
                item.refuse(f'posture not found: "{item.text()}"')
        return at.texts()


def check_pairs(at: Cursor, left: Sized, right: Sized, what: str) -> None:
    if len(left) * len(right) > MAX_PAIRS:
        at.refuse(f"{at.name} expands to more than {MAX_PAIRS} pairs of {what}; split it into several rules")
