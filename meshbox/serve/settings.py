"""From the configuration to what the tailnet needs to know of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypedDict
from urllib.parse import urlsplit

from meshbox.config import Config
from meshbox.config.network import ExtraRecord as Record
from meshbox.config.overrides import Override
from meshbox.errors import ConfigError, Problem
from meshbox.tailnet.settings import DnsOverride, DnsSettings, ExtraRecord, Settings
from meshbox.wire.zone import Zone

WILDCARD = "*."


def tailnet_settings(config: Config, before: DnsSettings | None = None) -> Settings:
    """`before` is what serves at a reload. With `dns.extra_records_path` its records stay: the file is for
    serve/recordswatch.py."""
    dns = config.dns
    records = answered(dns.extra_records, dns.base_domain)
    if before is not None and dns.extra_records_path is not None:
        records = {"extra_records": before.extra_records, "subdomains": before.subdomains}
    return Settings(
        dns=DnsSettings(
            magic_dns=dns.magic_dns,
            base_domain=dns.base_domain,
            override_local_dns=dns.override_local_dns,
            nameservers=dns.nameservers.global_,
            split=tuple((domain, tuple(resolvers)) for domain, resolvers in dns.nameservers.split),
            search_domains=dns.search_domains,
            **records,
            overrides=tuple(_override(one) for one in dns.overrides),
            # Clients would ask at once, and nobody answers the authorities before a restart.
            has_certificates=dns.certificates.enabled if before is None else before.has_certificates,
        ),
        prefix_v4=config.prefixes.v4,
        prefix_v6=config.prefixes.v6,
        allocation=config.prefixes.allocation,
        node_expiry=config.node.expiry,
        needs_approval=config.node.approval,
        ephemeral_timeout=config.node.ephemeral.inactivity_timeout,
        probe_interval=config.node.routes.ha.probe_interval,
        probe_timeout=config.node.routes.ha.probe_timeout,
        pending_limit=config.limits.pending_registrations,
        pending_per_address=config.limits.pending_per_address,
        taildrop=config.taildrop.enabled,
        client_attributes=config.posture.client_attributes,
        may_ask=config.c2n.enabled,
        auto_update=config.auto_update.enabled,
        latest_client=config.auto_update.latest_version,
        collect_logs=config.logtail.enabled,
    )


def zone_of(config: Config) -> Zone:
    """The public zone of the devices' names."""
    server = config.dns.certificates.name_server or urlsplit(config.server_url).hostname or ""
    return Zone(config.dns.base_domain, server)


class Answered(TypedDict):
    extra_records: tuple[ExtraRecord, ...]
    subdomains: frozenset[str]


def answered(records: Iterable[Record], base_domain: str) -> Answered:
    """The records, and apart from them the wildcards. Raises ConfigError for one outside the tailnet."""
    plain: list[ExtraRecord] = []
    labels: set[str] = set()
    for record in records:
        if not record.name.startswith(WILDCARD):
            plain.append(ExtraRecord(record.name, record.type, record.value))
            continue
        label, _, domain = record.name.removeprefix(WILDCARD).partition(".")
        if domain != base_domain:
            text = f"{record.name} is not below a node of {base_domain or 'a base_domain'}"
            raise ConfigError("extra DNS records", [Problem("dns.extra_records", text)])
        labels.add(label)
    return {"extra_records": tuple(plain), "subdomains": frozenset(labels)}


def _override(one: Override) -> DnsOverride:
    return DnsOverride(one.for_, one.nameservers, one.override_local_dns, one.split, one.search_domains)
