"""The DNS configuration that a client is sent (tailcfg.DNSConfig), made from settings alone.

Whose settings those are, and where aliases lead today, is `dnsview`'s to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network

from meshbox.tailnet.addresses import Address
from meshbox.tailnet.nextdns import Device, adapt
from meshbox.tailnet.settings import DnsSettings, ExtraRecord, Settings

Json = dict[str, object]
FindNode = Callable[[str], Iterable[Address]]
"""The addresses of the node that a name means, none when there is no such node."""

ALIAS = "CNAME"
"""The type of an extra record that names a node. Clients answer only A and AAAA, so they are sent the
node's addresses under the alias."""

REVERSE_ZONE_LIMIT = 256
"""A /9 that is not on a label border would be split into more zones than clients should carry."""


def dns_config(
    settings: Settings,
    dns: DnsSettings | None = None,
    find_node: FindNode = lambda name: (),
    device: Device | None = None,
) -> Json:
    """`dns` is what holds for this client, the tailnet's when None; `device` is what a NextDNS resolver is
    told. `{}` switches DNS off in the client; absent would mean "unchanged"."""
    dns = settings.dns if dns is None else dns
    config: Json = {}
    resolvers = [_resolver(address, device) for address in dns.nameservers]
    if resolvers:
        config["Resolvers" if dns.override_local_dns else "FallbackResolvers"] = resolvers
    routes: dict[str, list[Json]] = {
        domain: [_resolver(address, device) for address in addresses] for domain, addresses in dns.split
    }
    domains = list(dns.search_domains)
    if dns.magic_dns and dns.base_domain:
        config["Proxied"] = True
        domains.insert(0, dns.base_domain)
        # An empty list means: the client answers these itself.
        routes[dns.base_domain] = []
        for zone in reverse_zones(settings.prefix_v4, settings.prefix_v6):
            routes[zone] = []
    if domains:
        config["Domains"] = domains
    if routes:
        config["Routes"] = routes
    records = [
        json for record in settings.dns.extra_records for json in _records(settings, record, find_node)
    ]
    if records:
        config["ExtraRecords"] = records
    return config


def node_fqdn(settings: Settings, label: str) -> str:
    """The node's full name as maps carry it: with the final dot."""
    return f"{label}.{settings.domain}."


def label_of(settings: Settings, name: str) -> str:
    """The label in a node's name, full or short; "" for a name outside the tailnet's domain."""
    label = name.lower().removesuffix(".").removesuffix("." + settings.domain)
    return "" if "." in label else label


def alias_targets(settings: Settings) -> frozenset[str]:
    """The labels of the nodes that aliases lead to."""
    records = settings.dns.extra_records
    return frozenset(label_of(settings, record.value) for record in records if record.type == ALIAS)


def _resolver(address: str, device: Device | None) -> Json:
    return {"Addr": adapt(address, device)}


def _records(settings: Settings, record: ExtraRecord, find_node: FindNode) -> Iterable[Json]:
    if record.type == ALIAS:
        return [
            {"Name": record.name, "Value": str(address)}
            for address in find_node(label_of(settings, record.value))
        ]
    json: Json = {"Name": record.name, "Value": record.value}
    # The client infers A and AAAA from the value; an explicit type must not be one of those two.
    if record.type not in ("", "A", "AAAA"):
        json["Type"] = record.type
    return [json]


@lru_cache(maxsize=8)
def reverse_zones(v4: IPv4Network | None, v6: IPv6Network | None) -> tuple[str, ...]:
    """The zones in which the addresses of nodes are looked up, with their final dot."""
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
