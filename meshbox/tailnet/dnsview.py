"""Which DNS configuration holds for a node, encoded once for all nodes for which it is the same.

The tailnet's settings hold for everybody; `dns.overrides` change them for some users, tags or nodes. A
NextDNS resolver makes the configuration each node's own. Aliases lead to the addresses their nodes have
today, and only for those who may see these nodes. A session compares what it was told with `piece`, so no
caller has to know what changes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from meshbox import fastjson
from meshbox.policy.sight import bit
from meshbox.tailnet.addresses import Address
from meshbox.tailnet.connectors import Connectors, Resolvers
from meshbox.tailnet.dns import Json, dns_config
from meshbox.tailnet.frames import Coding
from meshbox.tailnet.model import Node
from meshbox.tailnet.nextdns import Device, is_nextdns, profile_of
from meshbox.tailnet.proofs import names_to_prove
from meshbox.tailnet.settings import DnsOverride, DnsSettings
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.targets import names_of

MEMO_LIMIT = 256
"""Encoded configurations kept. With NextDNS every node has one of its own; those are made again."""

Key = tuple[tuple[int, ...], Device | None, Resolvers, frozenset[str]]


class DnsView:
    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self.connectors = Connectors(t)
        self._memo: dict[Key, bytes] = {}
        self._members: dict[tuple[bytes, bool], bytes] = {}
        self._cursor = -1

    def piece(self, node: Node) -> bytes:
        """The node's DNSConfig as JSON."""
        shared, own = self._shared(node), self._own(node)
        # One object for all who have the same, so that it is hashed once.
        return shared[:-1] + own if own else shared

    def _shared(self, node: Node) -> bytes:
        """What others may have as well."""
        cursor = self._t.changes.common_cursor
        if cursor != self._cursor or len(self._memo) >= MEMO_LIMIT:
            self._memo.clear()
            self._members.clear()
            self._cursor = cursor
        numbers = self._overrides(node)
        dns = self._settings(numbers)
        key = (numbers, self._device(node, dns), self.connectors.resolvers(node), self._known(node))
        found = self._memo.get(key)
        if found is None:
            found = self._memo[key] = fastjson.dumps(self._config(dns, *key[1:]))
        return found

    def _own(self, node: Node) -> bytes:
        """The node's own names for certificates, with the last brace; b"" when it has none."""
        names = names_to_prove(self._t, node)
        return b',"CertDomains":' + fastjson.dumps(names) + b"}" if names else b""

    def member(self, node: Node, coding: Coding) -> bytes:
        """The same as a member of a map and a comma, encoded once for all who have the same."""
        shared, own = self._shared(node), self._own(node)
        key = shared, coding.is_compressed
        found = self._members.get(key)
        if found is None:
            whole = shared[:-1] if own else shared + b","
            found = self._members[key] = coding.encode(b'"DNSConfig":' + whole)
        return found + coding.encode(own + b",") if own else found

    def config(self, node: Node | None) -> Json:
        """The same as an object, for an administrator; of no node, what holds for everybody."""
        if node is None:
            return self._config(self._t.settings.dns, None, (), self._targets)
        dns = self.settings(node)
        device, apps = self._device(node, dns), self.connectors.resolvers(node)
        names = names_to_prove(self._t, node)
        own: Json = {"CertDomains": names} if names else {}
        return {**self._config(dns, device, apps, self._known(node)), **own}

    def settings(self, node: Node) -> DnsSettings:
        """The tailnet's settings with the overrides for this node."""
        return self._settings(self._overrides(node))

    @property
    def depends_on_view(self) -> bool:
        """Is the configuration of a node another one when it sees other nodes?"""
        return self.connectors.exist or bool(self._targets)

    @property
    def _targets(self) -> frozenset[str]:
        return self._t.dns_changes.targets

    def _known(self, node: Node) -> frozenset[str]:
        """The labels, of those that aliases lead to, whose nodes this one may see."""
        if not self._targets:
            return self._targets
        view = self._t.enforcement.outlook(node.id).view | bit(node.id)
        ids = ((label, self._t.by_name.get(label)) for label in self._targets)
        return frozenset(label for label, node_id in ids if node_id is not None and view >> node_id & 1)

    def _config(
        self, dns: DnsSettings, device: Device | None, apps: Resolvers, known: frozenset[str]
    ) -> Json:
        if apps:
            # The policy says who resolves these; a connector itself asks whom the settings name.
            dns = replace(dns, split=tuple((dict(dns.split) | dict(apps)).items()))

        def addresses(label: str) -> Iterable[Address]:
            node_id = self._t.by_name.get(label) if label in known else None
            return () if node_id is None else self._t.nodes[node_id].addresses

        return dns_config(self._t.settings, dns, addresses, device)

    def _overrides(self, node: Node) -> tuple[int, ...]:
        overrides = self._t.settings.dns.overrides
        if not overrides:
            return ()
        names = names_of(self._t, node)
        return tuple(
            number for number, one in enumerate(overrides) if any(name in names for name in one.targets)
        )

    def _settings(self, numbers: tuple[int, ...]) -> DnsSettings:
        dns = self._t.settings.dns
        for number in numbers:
            dns = _overridden(dns, dns.overrides[number])
        return dns

    def _device(self, node: Node, dns: DnsSettings) -> Device | None:
        split = (address for _, addresses in dns.split for address in addresses)
        if not any(map(is_nextdns, (*dns.nameservers, *split))):
            return None
        profile, may_tell = profile_of(self._t.enforcement.self_caps(node.id))
        if not may_tell:
            return Device(profile)
        address = str(node.addresses[0]) if node.addresses else ""
        return Device(profile, node.name, self._t.report(node.id).os, address)


def _overridden(dns: DnsSettings, override: DnsOverride) -> DnsSettings:
    """What the override says replaces what was there; what it leaves out stays."""
    if override.nameservers is not None:
        dns = replace(dns, nameservers=override.nameservers, override_local_dns=bool(override.nameservers))
    if override.override_local_dns is not None:
        dns = replace(dns, override_local_dns=override.override_local_dns)
    if override.split is not None:
        dns = replace(dns, split=override.split)
    if override.search_domains is not None:
        dns = replace(dns, search_domains=override.search_domains)
    return dns
