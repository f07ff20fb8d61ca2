"""What a node's client answers to a name, said without asking it: for `meshbox dns query`.

The order is the client's: extra records first, then names of nodes, then the longest domain that has
resolvers or is the tailnet's own, then the nameservers for everything else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Literal

from meshbox.policy.sight import View, bit
from meshbox.tailnet.dns import Json, label_of
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet

Outcome = Literal["answered", "no such name", "asked elsewhere", "left to the network"]
RecordType = Literal["A", "AAAA", "PTR"]

PEER_AAAA = "magicdns-aaaa"


@dataclass(frozen=True, slots=True)
class Answer:
    """`name` is the full name that was found or asked last; `values` are addresses or a name, `resolvers`
    whom the client asks instead; `why` is the rule that decided."""

    name: str
    outcome: Outcome
    why: str
    values: tuple[str, ...] = ()
    resolvers: tuple[str, ...] = ()


class Client:
    """A node as its resolver sees the world: its DNS configuration and the nodes in its sight.
    `speaks_ipv6` is the attribute that makes clients answer AAAA for nodes."""

    def __init__(self, t: Tailnet, node: Node, config: Json, view: View, speaks_ipv6: bool = False) -> None:
        self._t = t
        self._view = view | bit(node.id)
        self._speaks_ipv6 = speaks_ipv6
        self._has_magic = bool(config.get("Proxied"))
        self._domains = [str(domain) for domain in _list(config.get("Domains"))]
        self._defaults = _addresses(config.get("Resolvers"))
        routes = config.get("Routes")
        self._routes = {
            domain: _addresses(resolvers)
            for domain, resolvers in (routes.items() if isinstance(routes, dict) else ())
        }
        self._records: dict[str, list[str]] = {}
        for record in _list(config.get("ExtraRecords")):
            self._records.setdefault(record["Name"].lower().rstrip("."), []).append(record["Value"])

    def ask(self, name: str, kind: RecordType = "A") -> Answer:
        """A short name is tried with each search domain, as the machine does."""
        name = name.lower().rstrip(".")
        tries = [name] if "." in name else [*(f"{name}.{domain}" for domain in self._domains), name]
        answer = self._ask(tries[0], kind)
        for one in tries[1:]:
            if answer.outcome == "answered":
                break
            answer = self._ask(one, kind)
        return answer

    def _ask(self, name: str, kind: RecordType) -> Answer:
        if kind == "PTR":
            return self._reverse(name)
        if name in self._records:
            return Answer(name, "answered", "an extra record", _of_kind(self._records[name], kind))
        node_id = self._t.by_name.get(label_of(self._t.settings, name), 0)
        if self._has_magic and "." in name and node_id and self._view & bit(node_id):
            node = self._t.nodes[node_id]
            if kind == "AAAA" and node.ipv4 is not None and not self._speaks_ipv6:
                why = f"node {node.name}; its IPv6 address is told only to nodes with {PEER_AAAA}"
                return Answer(name, "answered", why)
            return Answer(name, "answered", f"node {node.name}", _of_kind(map(str, node.addresses), kind))
        below = self._below(name)
        if below is not None:
            why = f"below the name of node {below.name}; older clients do not know such names"
            return Answer(name, "answered", why, _of_kind(map(str, below.addresses), kind))
        return self._routed(name)

    def _below(self, name: str) -> Node | None:
        """The node below whose name this one is, where that leads to it."""
        domain = self._t.settings.domain
        if not self._has_magic or not name.endswith("." + domain):
            return None
        label = name.removesuffix("." + domain).rpartition(".")[2]
        node = self._t.nodes.get(self._t.by_name.get(label, 0))
        return node if node is not None and self._leads_below(node) else None

    def _leads_below(self, node: Node) -> bool:
        return bool(self._view & bit(node.id)) and node.name in self._t.settings.dns.subdomains

    def _routed(self, name: str) -> Answer:
        inside = [domain for domain in self._routes if _is_inside(name, domain)]
        if inside:
            domain = max(inside, key=len)
            if self._routes[domain]:
                why = f"split DNS for {domain}"
                return Answer(name, "asked elsewhere", why, resolvers=self._routes[domain])
            return Answer(name, "no such name", f"{domain.rstrip('.')} is the tailnet's own domain")
        if self._defaults:
            why = "the nameservers for everything"
            return Answer(name, "asked elsewhere", why, resolvers=self._defaults)
        return Answer(name, "left to the network", "no nameserver of the tailnet is set to override it")

    def _reverse(self, name: str) -> Answer:
        try:
            address = ip_address(name)
        except ValueError:
            return self._routed(name)
        for node in self._t.nodes.values():
            if address in node.addresses and self._view & bit(node.id):
                full = f"{node.name}.{self._t.settings.domain}"
                return Answer(name, "answered", f"node {node.name}", (full,))
        return self._routed(address.reverse_pointer)


def _is_inside(name: str, domain: str) -> bool:
    domain = domain.lower().rstrip(".")
    return name == domain or name.endswith("." + domain)


def _of_kind(values: Iterable[str], kind: RecordType) -> tuple[str, ...]:
    version = 6 if kind == "AAAA" else 4
    return tuple(value for value in values if ip_address(value).version == version)


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _addresses(resolvers: object) -> tuple[str, ...]:
    return tuple(one["Addr"] for one in _list(resolvers))
