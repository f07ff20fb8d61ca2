"""The DNS configuration that clients are sent (tailcfg.DNSConfig)."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from meshbox.tailnet.settings import DnsSettings, Settings

Json = dict[str, object]

REVERSE_ZONE_LIMIT = 256
"""A /9 that is not on a label border would be split into more zones than clients should carry."""


def dns_config(settings: Settings) -> Json:
    """The same for every node. `{}` switches DNS off in the client; absent would mean "unchanged"."""
    dns = settings.dns
    config: Json = {}
    resolvers = [{"Addr": address} for address in dns.nameservers]
    if resolvers:
        config["Resolvers" if dns.override_local_dns else "FallbackResolvers"] = resolvers
    routes: dict[str, list[Json]] = {
        domain: [{"Addr": address} for address in addresses] for domain, addresses in dns.split
    }
    domains = list(dns.search_domains)
    if dns.magic_dns and dns.base_domain:
        config["Proxied"] = True
        domains.insert(0, dns.base_domain)
        # An empty list means: the client answers these itself.
        routes[dns.base_domain] = []
        for zone in _reverse_zones(settings.prefix_v4, settings.prefix_v6):
            routes[zone] = []
    if domains:
        config["Domains"] = domains
    if routes:
        config["Routes"] = routes
    if dns.extra_records:
        config["ExtraRecords"] = [_record(dns, index) for index in range(len(dns.extra_records))]
    return config


def node_fqdn(settings: Settings, label: str) -> str:
    """The node's full name as maps carry it: with the final dot."""
    return f"{label}.{settings.domain}."


def _record(dns: DnsSettings, index: int) -> Json:
    record = dns.extra_records[index]
    json: Json = {"Name": record.name, "Value": record.value}
    # The client infers A and AAAA from the value; an explicit type must not be one of those two.
    if record.type not in ("", "A", "AAAA"):
        json["Type"] = record.type
    return json


@lru_cache(maxsize=8)
def _reverse_zones(v4: IPv4Network | None, v6: IPv6Network | None) -> tuple[str, ...]:
    zones: list[str] = []
    if v4 is not None:
        labels = -(-v4.prefixlen // 8)
        for subnet in list(v4.subnets(new_prefix=max(labels * 8, v4.prefixlen)))[:REVERSE_ZONE_LIMIT]:
            octets = str(subnet.network_address).split(".")[: max(labels, 1)]
            zones.append(".".join(reversed(octets)) + ".in-addr.arpa.")
    if v6 is not None:
        nibbles = v6.network_address.exploded.replace(":", "")[: v6.prefixlen // 4]
        zones.append(".".join(reversed(nibbles)) + ".ip6.arpa.")
    return tuple(zones)
