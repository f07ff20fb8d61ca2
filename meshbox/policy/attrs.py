"""`nodeAttrs` and the tailnet-wide switches: capabilities of a device, its address pool, IPv4 or not."""

from __future__ import annotations

from ipaddress import IPv4Network

from meshbox.policy.document import Document, Json, NodeAttr
from meshbox.policy.resolve import Resolver
from meshbox.policy.world import Device

DISABLE_IPV4 = "disable-ipv4"
FUNNEL = "funnel"
FUNNEL_PORTS = "https://tailscale.com/cap/funnel-ports?ports=443,8443,10000"
FUNNEL_NEEDS_HTTPS = "https://tailscale.com/cap/warn-funnel-no-https"
RANDOM_PORT = "randomize-client-port"
SUGGEST_EXIT = "suggest-exit-node"
ONE_CGNAT = {"mac-always": "one-cgnat?v=true", "mac-never": "one-cgnat?v=false"}
_APPLE = frozenset({"macOS", "darwin"})

Caps = dict[str, list[Json] | None]
Pool = tuple[IPv4Network, ...]


def self_caps(document: Document, resolver: Resolver, device: Device) -> Caps:
    """What the policy adds to the device's own CapMap."""
    found: Caps = {RANDOM_PORT: None} if document.randomize_client_port else {}
    if document.one_cgnat and device.os in _APPLE:
        # Clients obey it on every system, and only on Apple's does it help.
        found[ONE_CGNAT[document.one_cgnat]] = None
    for entry in _entries(document, resolver, device):
        for name in entry.attr:
            found.setdefault(name, None)
        for name, values in entry.app.items():
            more = values if isinstance(values, list) else []
            found[name] = [*(found.get(name) or []), *more]
    if document.disable_ipv4:
        found.setdefault(DISABLE_IPV4, None)
    if FUNNEL in found:
        found[FUNNEL_PORTS] = None
        found[FUNNEL_NEEDS_HTTPS] = None
    return found


def peer_caps(device: Device) -> Caps:
    """What of a device's CapMap its peers see: an approved exit node may be suggested to them. The hosted
    service says so of every one, whether or not `nodeAttrs` names it."""
    return {SUGGEST_EXIT: None} if device.exit_routes else {}


def switches_ipv4(document: Document) -> bool:
    """Is there a device that may have no IPv4? Seldom, and then nobody need be asked."""
    return document.disable_ipv4 or any(DISABLE_IPV4 in entry.attr for entry in document.node_attrs)


def has_ipv4(document: Document, resolver: Resolver, device: Device) -> bool:
    """Without, the device has no IPv4 address in any map and sees none of its peers'."""
    if document.disable_ipv4:
        return False
    return not any(DISABLE_IPV4 in entry.attr for entry in _entries(document, resolver, device))


def all_pools(document: Document) -> Pool:
    """The networks from which some devices take their addresses."""
    return tuple(dict.fromkeys(network for entry in document.node_attrs for network in entry.ip_pool))


def address_pool(document: Document, resolver: Resolver, device: Device) -> Pool:
    """Where a new device takes its IPv4 address from; empty: from anywhere. The first entry that says so."""
    for entry in _entries(document, resolver, device):
        if entry.ip_pool:
            return entry.ip_pool
    return ()


def _entries(document: Document, resolver: Resolver, device: Device) -> list[NodeAttr]:
    return [
        entry
        for entry in document.node_attrs
        if any(resolver.matches(selector, device) for selector in entry.target)
    ]
