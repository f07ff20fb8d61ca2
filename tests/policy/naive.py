"""The policy documents read literally: pair by pair, with ipaddress objects, as slowly as it takes.

Written from the documentation and not from the engine, so that the two can be held against each other. It
shares with it only the parsed policy and the values of the world.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from meshbox.policy.document import Acl, Document, Grant
from meshbox.policy.selectors import Selector
from meshbox.policy.spans import Prefix
from meshbox.policy.world import Device, World

Address = IPv4Address | IPv6Address
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"]


class Naive:
    def __init__(self, document: Document, world: World) -> None:
        self.document = document
        self.world = world
        self.devices = list(world.devices.values())

    def users(self, selector: Selector) -> set[int]:
        found = set()
        for person in self.world.people.values():
            listed = self.document.groups.get(selector.name, ())
            roles = {"admin": {"admin", "owner"}}.get(selector.name, {selector.name})
            if (
                (selector.kind == "user" and person.login == selector.name)
                or (selector.kind == "group" and person.login in listed)
                or (selector.kind == "domain" and person.login.endswith("@" + selector.name))
                or selector.kind == "member"
                or (selector.kind == "role" and person.role in roles)
            ):
                found.add(person.id)
        return found

    def is_meant(self, selector: Selector, device: Device) -> bool:
        """By who it is."""
        if selector.kind == "tag":
            return selector.name in device.tags
        if selector.kind == "tagged":
            return bool(device.tags)
        return not device.tags and device.user_id in self.users(selector)

    def networks(self, selector: Selector) -> list[Prefix]:
        return [ip_network(selector.span.text)] if selector.span else []

    def is_source(self, selector: Selector, address: Address) -> bool:
        if selector.kind == "danger-all":
            return True
        if selector.kind == "any":
            routes = [route for device in self.devices for route in device.subnet_routes]
            return in_tailnet(address) or any(address in route for route in routes)
        if any(address in network for network in self.networks(selector)):
            return True
        return any(self.is_meant(selector, one) and address in one.addresses for one in self.devices)

    def is_destination(self, selector: Selector, address: Address) -> bool:
        if selector.kind == "any":
            return True
        if selector.kind == "internet":
            return in_internet(address)
        if any(address in network for network in self.networks(selector)):
            return True
        return any(self.is_meant(selector, one) and address in one.addresses for one in self.devices)

    def rules(self) -> list[tuple[Acl | Grant, Selector, tuple[tuple[int, int], ...], int | None]]:
        found: list[tuple[Acl | Grant, Selector, tuple[tuple[int, int], ...], int | None]] = []
        for acl in self.document.acls or ():
            found += [(acl, target.selector, target.ports, acl.protocol) for target in acl.dst]
        for grant in self.document.grants or ():
            for selector in grant.dst:
                found += [(grant, selector, one.ports, one.protocol) for one in grant.ip]
        return found

    def admits(self, receiver: Device, src: Address, dst: Address, protocol: int, port: int) -> bool:
        """May the receiver let the packet through? It is sent to it, or to a network behind it."""
        if self.document.allows_everything:
            routes = [route for device in self.devices for route in device.subnet_routes]
            return in_tailnet(src) or any(src in route for route in routes)
        return any(
            self.rule_admits(rule, selector, receiver, (src, dst))
            and (protocol in (1, 6, 17, 58) if wanted is None else wanted == protocol)
            and any(low <= port <= high for low, high in ports)
            for rule, selector, ports, wanted in self.rules()
        )

    def rule_admits(
        self, rule: Acl | Grant, selector: Selector, receiver: Device, packet: tuple[Address, Address]
    ) -> bool:
        src, dst = packet
        if not any(self.is_source(one, src) for one in rule.src):
            return False
        if selector.kind == "self":
            mine = [one for one in self.devices if is_own(one, receiver)]
            return any(src in one.addresses for one in mine) and dst in receiver.addresses
        if isinstance(rule, Grant) and rule.via:
            if not set(rule.via) & set(receiver.tags) or selector.kind not in ("host", "prefix", "internet"):
                return False
            behind = any(dst in route for route in receiver.subnet_routes)
            if not behind and not (selector.kind == "internet" and receiver.exit_routes):
                return False
        return self.is_destination(selector, dst)

    def sees_each_other(self, one: Device, other: Device) -> bool:
        return self.reaches(one, other) or self.reaches(other, one)

    def reaches(self, sender: Device, receiver: Device) -> bool:
        """Is there a rule from the sender, or what is behind it, to the receiver or what is behind that?"""
        if self.document.allows_everything:
            return True
        relations: list[tuple[Acl | Grant, Selector]] = []
        for acl in self.document.acls or ():
            relations += [(acl, target.selector) for target in acl.dst]
        for grant in self.document.grants or ():
            relations += [(grant, selector) for selector in grant.dst]
        return any(self.relates(rule, selector, sender, receiver) for rule, selector in relations)

    def relates(self, rule: Acl | Grant, selector: Selector, sender: Device, receiver: Device) -> bool:
        if selector.kind == "self":
            return is_own(sender, receiver) and any(
                self.is_source(one, address) for one in rule.src for address in sender.addresses
            )
        if not any(self.sends(one, sender) for one in rule.src):
            return False
        via = isinstance(rule, Grant) and rule.via
        if via and not set(via) & set(receiver.tags):
            return False
        if not via and any(self.is_destination(selector, address) for address in receiver.addresses):
            return True
        return self.is_behind(selector, receiver)

    def sends(self, selector: Selector, sender: Device) -> bool:
        if any(self.is_source(selector, address) for address in sender.addresses):
            return True
        if selector.kind in ("any", "danger-all"):
            return True
        return any(overlap(route, one) for route in sender.subnet_routes for one in self.networks(selector))

    def is_behind(self, selector: Selector, receiver: Device) -> bool:
        if selector.kind == "any":
            return bool(receiver.subnet_routes)
        networks = self.networks(selector)
        if any(overlap(route, one) for route in receiver.subnet_routes for one in networks):
            return True
        if selector.kind == "internet" and any(is_public(route) for route in receiver.subnet_routes):
            return True
        inside = selector.kind == "internet" or any(is_public(one) for one in networks)
        return inside and bool(receiver.exit_routes)


def is_own(one: Device, other: Device) -> bool:
    return not one.tags and not other.tags and one.user_id == other.user_id and one.user_id is not None


def overlap(one: Prefix, other: Prefix) -> bool:
    return one.version == other.version and one.overlaps(other)  # type: ignore[arg-type]


def in_tailnet(address: Address) -> bool:
    if address.version == 6:
        return address in ip_network("fd7a:115c:a1e0::/48")
    return address in ip_network("100.64.0.0/10") and address not in ip_network("100.115.92.0/23")


def in_internet(address: Address) -> bool:
    if address.version == 6:
        return address in ip_network("2000::/3")
    return not any(address in ip_network(text) for text in PRIVATE)


def is_public(network: Prefix) -> bool:
    if network.version == 6:
        return network.subnet_of(ip_network("2000::/3"))  # type: ignore[arg-type]
    return not any(network.overlaps(ip_network(text)) for text in PRIVATE)  # type: ignore[arg-type]


def filter_admits(
    rules: list[dict[str, object]], src: Address, dst: Address, protocol: int, port: int
) -> bool:
    """What a client makes of a filter, but for ICMP, which it lets through without looking at ports."""
    for rule in rules:
        if not any(_holds(str(text), src) for text in rule["SrcIPs"]):  # type: ignore[attr-defined]
            continue
        if protocol not in rule.get("IPProto", (1, 6, 17, 58)):  # type: ignore[operator]
            continue
        for entry in rule.get("DstPorts", ()):  # type: ignore[attr-defined]
            ports = entry["Ports"]
            if _holds(entry["IP"], dst) and ports["First"] <= port <= ports["Last"]:
                return True
    return False


def _holds(text: str, address: Address) -> bool:
    if text == "*":
        return True
    if "-" in text:
        low, high = map(ip_address, text.split("-"))
        return low.version == address.version and int(low) <= int(address) <= int(high)
    return address in ip_network(text)
