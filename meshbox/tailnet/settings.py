"""What the configuration says about the tailnet itself. Replaced whole on reload."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Literal

OFFLINE_GRACE = 1.0
"""Seconds a node stays online after its last session ended. A client that restarts its long poll
is back in 10-50 ms; people watching `tailscale status` expect the truth within two seconds."""

CGNAT = IPv4Network("100.64.0.0/10")
ULA = IPv6Network("fd7a:115c:a1e0::/48")
"""The ranges that clients treat as a tailnet's; other prefixes work poorly."""


@dataclass(frozen=True, slots=True)
class ExtraRecord:
    """`type` is A or AAAA, and `value` an address; or CNAME, and `value` is the name of a node."""

    name: str
    type: str
    value: str


@dataclass(frozen=True, slots=True)
class DnsOverride:
    """Other DNS settings for some: `targets` are `user:NAME`, `node:NAME` and `tag:NAME`. None leaves a
    setting as it is."""

    targets: tuple[str, ...]
    nameservers: tuple[str, ...] | None = None
    override_local_dns: bool | None = None
    split: tuple[tuple[str, tuple[str, ...]], ...] | None = None
    search_domains: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DnsSettings:
    """`subdomains` are the labels of nodes below whose names every name leads to them. With
    `has_certificates` devices may get certificates for their names (proofs.py)."""

    magic_dns: bool = True
    base_domain: str = ""
    override_local_dns: bool = False
    nameservers: tuple[str, ...] = ()
    split: tuple[tuple[str, tuple[str, ...]], ...] = ()
    search_domains: tuple[str, ...] = ()
    extra_records: tuple[ExtraRecord, ...] = ()
    overrides: tuple[DnsOverride, ...] = ()
    subdomains: frozenset[str] = frozenset()
    has_certificates: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """Durations are seconds; `node_expiry` 0 means keys of user-owned nodes never expire, `probe_interval` 0
    that routers are not asked for signs of life. With
    `needs_approval` new devices wait for an administrator."""

    dns: DnsSettings = field(default_factory=DnsSettings)
    prefix_v4: IPv4Network | None = CGNAT
    prefix_v6: IPv6Network | None = ULA
    allocation: Literal["sequential", "random"] = "sequential"
    node_expiry: float = 0.0
    needs_approval: bool = False
    ephemeral_timeout: float = 1800.0
    offline_grace: float = OFFLINE_GRACE
    probe_interval: float = 10.0
    probe_timeout: float = 5.0
    pending_limit: int = 1024
    pending_per_address: int = 8
    taildrop: bool = True
    may_ask: bool = False
    client_attributes: bool = False
    auto_update: bool = False
    latest_client: str = ""
    collect_logs: bool = False

    @property
    def domain(self) -> str:
        """The tailnet's name as clients show it."""
        return self.dns.base_domain or "meshbox"

    @property
    def hinted(self) -> tuple[object, ...]:
        """What nodes are told as facts about themselves."""
        return self.latest_client, self.auto_update, self.taildrop
