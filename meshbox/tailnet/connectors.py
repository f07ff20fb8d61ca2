"""Which names a node has resolved by app connectors, and where those listen.

A connector's resolver is part of its peer API: `http://ADDRESS:PORT/dns-query`. A node is told of the
connectors that it may use and that are online; when none is, of all of them: a name that fails is better
than traffic that silently goes another way.
"""

from __future__ import annotations

from meshbox import fastjson
from meshbox.policy.sight import View, bit, ids
from meshbox.tailnet.changes import Dirty, Fact
from meshbox.tailnet.model import Node
from meshbox.tailnet.tailnet import Tailnet

_MOVING = int(Fact.ONLINE | Fact.WHOLE | Fact.SIGHT)

Resolvers = tuple[tuple[str, tuple[str, ...]], ...]
"""Domain -> URLs of the resolvers for it and for all below it."""


class Connectors:
    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self._view: View = 0
        self._seen: set[int] = set()

    def resolvers(self, node: Node) -> Resolvers:
        """What this node has resolved elsewhere."""
        enforcement = self._t.enforcement
        usable = enforcement.connectors(node.id)
        if not usable:
            return ()
        devices = enforcement.compiled.index.devices
        found: dict[str, View] = {}
        for app in enforcement.apps:
            serving = sum(bit(one) for one in ids(usable) if app.is_served_by(devices[one]))
            # A connector asks the world itself: two that asked each other would never end.
            if serving and not app.is_served_by(devices[node.id]):
                for domain in app.domains:
                    found[domain] = found.get(domain, 0) | serving
        listed = ((domain, self._urls(node, serving)) for domain, serving in sorted(found.items()))
        return tuple((domain, urls) for domain, urls in listed if urls)

    def are_touched(self, dirty: Dirty) -> bool:
        """May these changes have moved a resolver? Asked by every session in every round."""
        view = self._t.enforcement.compiled.index.connectors
        if view != self._view:
            # Those that are connectors no longer stay among them: sessions were told of them.
            self._view = view
            self._seen.update(ids(view))
        return bool(self._seen) and any(
            dirty.nodes[one] & _MOVING for one in self._seen if one in dirty.nodes
        )

    @property
    def exist(self) -> bool:
        return bool(self._t.enforcement.compiled.index.connectors)

    def _urls(self, viewer: Node, serving: View) -> tuple[str, ...]:
        everyone = ids(serving)
        online = [one for one in everyone if self._t.is_online(one)]
        found = (self._url(viewer, self._t.nodes[one]) for one in online or everyone)
        return tuple(url for url in found if url)

    def _url(self, viewer: Node, connector: Node) -> str:
        ports = _peer_api(self._t.report(connector.id).peer_hostinfo)
        has_ipv4 = self._t.enforcement.compiled.has_ipv4
        if (
            connector.ipv4 is not None
            and has_ipv4(viewer.id)
            and has_ipv4(connector.id)
            and "peerapi4" in ports
        ):
            return f"http://{connector.ipv4}:{ports['peerapi4']}/dns-query"
        if connector.ipv6 is not None and "peerapi6" in ports:
            return f"http://[{connector.ipv6}]:{ports['peerapi6']}/dns-query"
        return ""


def _peer_api(hostinfo: bytes) -> dict[str, int]:
    """The ports of a client's peer API, by protocol."""
    return {one["Proto"]: one["Port"] for one in fastjson.loads(hostinfo).get("Services", ())}
