"""NextDNS resolvers: the profile and the device in the URL, by which NextDNS tells devices apart.

A node attribute of the policy may give a device a profile of its own (`nextdns:abc123`) or keep its
name to itself (`nextdns:no-device-info`). Other resolvers are passed on as they are.

Source: net/dns/publicdns (nextDNSBase; what follows the profile in path or query is ignored there).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlencode

BASE = "https://dns.nextdns.io/"
ATTRIBUTE = "nextdns:"
SILENT = "no-device-info"


@dataclass(frozen=True, slots=True)
class Device:
    """What NextDNS is told. `profile` "" keeps the one in the URL; an empty name tells nothing."""

    profile: str = ""
    name: str = ""
    model: str = ""
    address: str = ""


def is_nextdns(resolver: str) -> bool:
    return resolver.startswith(BASE)


def profile_of(capabilities: Iterable[str]) -> tuple[str, bool]:
    """The profile that a device's attributes name, and whether the device may be told of."""
    words = [name.removeprefix(ATTRIBUTE) for name in capabilities if name.startswith(ATTRIBUTE)]
    profiles = [word for word in words if word != SILENT]
    return (profiles[0] if profiles else "", SILENT not in words)


def adapt(resolver: str, device: Device | None) -> str:
    if device is None or not is_nextdns(resolver):
        return resolver
    path, _, query = resolver.removeprefix(BASE).partition("?")
    url = BASE + (device.profile or path)
    if not device.name:
        return f"{url}?{query}" if query else url
    told = {"device_name": device.name, "device_model": device.model, "device_ip": device.address}
    more = urlencode({name: value for name, value in told.items() if value})
    return f"{url}?{query}&{more}" if query else f"{url}?{more}"
