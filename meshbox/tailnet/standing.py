"""What a node is told about itself because of the policy: addresses, routes, capabilities.

Of its own routes a node is told all that are in force, those it is not first for among them; a peer is told
only what it may use (peers.py).

Source: tailcfg.Node, capability version 142; nodecap names in tailcfg/nodecap.
"""

from __future__ import annotations

from typing import Any

from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.tailcfg import (
    CAP_ADMIN,
    CAP_AUTO_UPDATE,
    CAP_FILE_SHARING,
    CAP_HTTPS,
    CAP_SSH,
    CAP_SUBDOMAINS,
)

Json = dict[str, Any]


class Standing:
    def __init__(self, t: Tailnet) -> None:
        self._t = t

    def of(self, node: Node) -> Json:
        """The fields of the node's own tailcfg.Node that its policy decides."""
        compiled = self._t.enforcement.compiled
        device = compiled.index.devices.get(node.id)
        if device is None:
            addresses = addresses_of(node, True)
            return {"Addresses": addresses, "AllowedIPs": addresses, "CapMap": self._baseline(node)}
        addresses = addresses_of(node, compiled.has_ipv4(node.id))
        primary = compiled.routes.primary_routes(node.id) if device.routes else []
        return {
            "Addresses": addresses,
            "AllowedIPs": [*addresses, *map(str, (*device.subnet_routes, *device.exit_routes))],
            **({"PrimaryRoutes": list(map(str, primary))} if primary else {}),
            "CapMap": {**self._baseline(node), **compiled.self_caps(node.id)},
        }

    def _baseline(self, node: Node) -> Json:
        capabilities: Json = {CAP_SSH: []}
        if not node.is_tagged:
            capabilities[CAP_ADMIN] = []
        if self._t.settings.taildrop and not node.is_tagged:
            # To clients all tagged nodes have one owner, so each could send files to every other.
            capabilities[CAP_FILE_SHARING] = []
        if self._t.settings.auto_update:
            capabilities[CAP_AUTO_UPDATE] = [True]
        if node.name in self._t.settings.dns.subdomains:
            capabilities[CAP_SUBDOMAINS] = []
        if self._t.settings.dns.has_certificates:
            capabilities[CAP_HTTPS] = []
        return capabilities


def addresses_of(node: Node, has_ipv4: bool) -> list[str]:
    return [
        f"{address}/{address.max_prefixlen}" for address in node.addresses if has_ipv4 or address.version == 6
    ]
