"""What follows for names when a node or the settings change: where aliases and wildcards lead."""

from __future__ import annotations

from collections.abc import Mapping

from meshbox.tailnet.changes import Changes, Common, Fact
from meshbox.tailnet.dns import alias_targets
from meshbox.tailnet.model import Node
from meshbox.tailnet.settings import Settings


class DnsChanges:
    """`by_name` is the tailnet's own index of nodes by label; `targets` the labels that aliases lead to."""

    def __init__(self, changes: Changes, by_name: Mapping[str, int], settings: Settings) -> None:
        self._changes = changes
        self._by_name = by_name
        self.targets = alias_targets(settings)

    def of_settings(self, old: Settings, new: Settings) -> bool:
        """True when anything about names is otherwise now."""
        if old.dns == new.dns:
            return False
        self.targets = alias_targets(new)
        self._changes.append_common(Common.DNS)
        for label in old.dns.subdomains ^ new.dns.subdomains:
            # What leads below a node's name is told as a capability of the node.
            if label in self._by_name:
                self._changes.append(self._by_name[label], Fact.WHOLE)
        return True

    def of_node(self, old: Node | None, new: Node | None) -> None:
        """The addresses an alias leads to are in everybody's DNS configuration."""
        was, now = ((node.name, node.addresses) if node is not None else None for node in (old, new))
        names = {place[0] for place in (was, now) if place is not None}
        if was != now and names & self.targets:
            self._changes.append_common(Common.DNS)
