"""App connectors: devices through which certain domains are resolved and reached (nodeAttrs, app
`tailscale.com/app-connectors`).

A connector answers names of its domains for others, and carries the addresses it found from then on. It looks
whether a packet of who asks would be let in to the internet; therefore it receives, like an exit node, the
rules that are for the internet.

Source: appctype.AppConnectorAttr; ipnlocal/peerapi.go (replyToDNSQueries).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from meshbox.policy.document import Document
from meshbox.policy.selectors import fold_tag
from meshbox.policy.world import Device

APP = "tailscale.com/app-connectors"
ANY_CONNECTOR = "*"


@dataclass(frozen=True, slots=True)
class App:
    """`domains` are DNS suffixes, without the `*.` that may stand before them; `connectors` tags, or `*`."""

    domains: tuple[str, ...]
    connectors: frozenset[str]

    def is_served_by(self, device: Device) -> bool:
        if not device.is_connector:
            return False
        return ANY_CONNECTOR in self.connectors or not self.connectors.isdisjoint(map(fold_tag, device.tags))


def apps(document: Document) -> tuple[App, ...]:
    """The apps that a policy describes. What clients would not understand is left out."""
    return tuple(_read(document))


def _read(document: Document) -> Iterator[App]:
    for entry in document.node_attrs:
        described = entry.app.get(APP)
        for one in described if isinstance(described, list) else ():
            if not isinstance(one, dict):
                continue
            domains, connectors = _texts(one.get("domains")), _texts(one.get("connectors"))
            names = (domain.lower().removeprefix("*.").rstrip(".") for domain in domains)
            yield App(
                tuple(dict.fromkeys(name for name in names if name)), frozenset(map(fold_tag, connectors))
            )


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
