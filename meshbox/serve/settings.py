"""From the configuration to what the tailnet needs to know of it."""

from __future__ import annotations

from meshbox.config import Config
from meshbox.tailnet.settings import DnsSettings, ExtraRecord, Settings


def tailnet_settings(config: Config) -> Settings:
    dns = config.dns
    return Settings(
        dns=DnsSettings(
            magic_dns=dns.magic_dns,
            base_domain=dns.base_domain,
            override_local_dns=dns.override_local_dns,
            nameservers=dns.nameservers.global_,
            split=tuple((domain, tuple(resolvers)) for domain, resolvers in dns.nameservers.split),
            search_domains=dns.search_domains,
            extra_records=tuple(
                ExtraRecord(record.name, record.type, record.value) for record in dns.extra_records
            ),
        ),
        prefix_v4=config.prefixes.v4,
        prefix_v6=config.prefixes.v6,
        allocation=config.prefixes.allocation,
        node_expiry=config.node.expiry,
        ephemeral_timeout=config.node.ephemeral.inactivity_timeout,
        pending_limit=config.limits.pending_registrations,
        pending_per_address=config.limits.pending_per_address,
        taildrop=config.taildrop.enabled,
        collect_logs=config.logtail.enabled,
    )
