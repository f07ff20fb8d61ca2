"""A node as JSON (tailcfg.Node), for its peers and for itself, and as a patch (tailcfg.PeerChange).

What viewers may see alike is encoded once and shared: a static part that changes with hard facts, once
for each variant that some viewer is shown (its routes, its IPv4 address or not), and a hot part (home relay,
endpoints, online) that changes all the time. Joining the two is two orders of magnitude cheaper than
encoding a node for each of its peers.

Source: tailcfg.Node, capability version 142. Both `HomeDERP` and `DERP` are sent (clients below 111
know only the second), AllowedIPs always (below 112 absent means none), `Online` always (a client
that never had a value ignores a later one).
"""

from __future__ import annotations

from typing import Any

from meshbox import fastjson
from meshbox.policy.outlook import Outlook
from meshbox.tailnet.changes import Facts, are_hard
from meshbox.tailnet.dns import node_fqdn
from meshbox.tailnet.model import Node, Prefix, Report
from meshbox.tailnet.standing import Standing, addresses_of
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import TAGGED_DEVICES_ID, TAGGED_DEVICES_NAME
from meshbox.wire.derpmap import derp_address
from meshbox.wire.gojson import go_time
from meshbox.wire.hostinfo import self_view
from meshbox.wire.keys import DiscoKey
from meshbox.wire.replies import user_profile
from meshbox.wire.tailcfg import CAP_SUBDOMAINS

Json = dict[str, Any]
Variant = tuple[tuple[Prefix, ...], bool]
"""The routes shown on a node, and whether the viewer is shown IPv4 addresses at all."""


class Peers:
    """Encoded nodes, kept until their facts change (`forget`)."""

    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self._standing = Standing(t)
        self._static: dict[int, dict[Variant, bytes]] = {}
        self._hot: dict[int, bytes] = {}

    def forget(self, node_id: int, facts: Facts) -> None:
        self._hot.pop(node_id, None)
        if are_hard(facts):
            self._static.pop(node_id, None)

    def forget_all(self) -> None:
        self._static.clear()
        self._hot.clear()

    def node(self, node_id: int, outlook: Outlook) -> bytes:
        """The node as a peer of this outlook sees it: one JSON object."""
        variants = self._static.get(node_id)
        if variants is None:
            variants = self._static[node_id] = {}
        variant = outlook.routes.get(node_id, ()), outlook.shows_ipv4
        static = variants.get(variant)
        if static is None:
            # Kept without its closing brace. The copy matters: orjson's own result keeps its
            # over-allocated buffer, eight times the size of a node.
            json = self._describe(node_id, variant)
            static = variants[variant] = bytes(memoryview(fastjson.dumps(json))[:-1])
        hot = self._hot.get(node_id)
        if hot is None:
            hot = self._hot[node_id] = self._describe_hot(node_id)
        return static + hot

    def owner(self, node_id: int) -> int:
        user_id = self._t.nodes[node_id].user_id
        return TAGGED_DEVICES_ID if user_id is None else user_id

    def profile(self, user_id: int) -> Json:
        if user_id == TAGGED_DEVICES_ID:
            return user_profile(user_id, TAGGED_DEVICES_NAME, "Tagged Devices")
        user = self._t.users[user_id]
        login = user.email or user.name
        return user_profile(user.id, login, user.display_name or user.name, user.picture_url)

    def self_node(self, node: Node, now: float) -> Json:
        """The node as it is told about itself. All of its capabilities, every time: it replaces
        what the client knew."""
        report = self._t.report(node.id)
        json = self._json(
            node, report, fastjson.Fragment(self_view(report.hostinfo, report.advertised_routes))
        )
        json["Machine"] = str(node.machine_key)
        json["MachineAuthorized"] = node.is_approved
        json["HomeDERP"] = report.home_derp
        json["DERP"] = derp_address(report.home_derp)
        json["Online"] = True
        json.update(self._standing.of(node))
        if node.is_expired(now):
            json["Expired"] = True
        return json

    def hot_patch(self, node_id: int) -> Json:
        """What a client handles without rebuilding anything. Never mixed with `rare_patch`."""
        report = self._t.report(node_id)
        patch: Json = {"NodeID": node_id, "Endpoints": report.endpoints, "Online": self._t.is_online(node_id)}
        if report.home_derp:
            patch["DERPRegion"] = report.home_derp
        if not patch["Online"] and report.last_seen is not None:
            patch["LastSeen"] = go_time(report.last_seen)
        return patch

    def rare_patch(self, node_id: int) -> Json:
        """Keys and version; KeyExpiry is always said, zero to clear it."""
        node, report = self._t.nodes[node_id], self._t.report(node_id)
        patch: Json = {
            "NodeID": node_id,
            "Key": str(node.node_key),
            "KeyExpiry": go_time(node.expires_at),
        }
        if report.disco_key is not None:
            patch["DiscoKey"] = str(report.disco_key)
        if report.capver:
            patch["Cap"] = report.capver
        return patch

    def _describe(self, node_id: int, variant: Variant) -> Json:
        node, report = self._t.nodes[node_id], self._t.report(node_id)
        routes, shows_ipv4 = variant
        compiled = self._t.enforcement.compiled
        json = self._json(node, report, fastjson.Fragment(report.peer_hostinfo))
        json["Addresses"] = addresses_of(node, shows_ipv4 and compiled.has_ipv4(node_id))
        json["AllowedIPs"] = [*json["Addresses"], *map(str, routes)]
        primary = [str(route) for route in routes if route.prefixlen]
        if primary:
            json["PrimaryRoutes"] = primary
        json["MachineAuthorized"] = True
        if caps := self._capabilities(node):
            json["CapMap"] = caps
        if node_id in self._t.expired:
            json["Expired"] = True
        return json

    def _capabilities(self, node: Node) -> Json:
        """What peers are told of the node's capabilities."""
        compiled = self._t.enforcement.compiled
        caps: Json = dict(compiled.peer_caps(node.id)) if node.id in compiled.index.devices else {}
        if node.name in self._t.settings.dns.subdomains:
            caps[CAP_SUBDOMAINS] = []
        return caps

    def _json(self, node: Node, report: Report, hostinfo: fastjson.Fragment) -> Json:
        json: Json = {
            "ID": node.id,
            "StableID": node.stable_id,
            "Name": node_fqdn(self._t.settings, node.name),
            "User": TAGGED_DEVICES_ID if node.user_id is None else node.user_id,
            "Key": str(node.node_key),
            "DiscoKey": str(report.disco_key or DiscoKey.zero()),
            "Hostinfo": hostinfo,
            "Created": go_time(node.created_at),
            "Cap": report.capver,
        }
        if node.expires_at is not None:
            json["KeyExpiry"] = go_time(node.expires_at)
        if node.tags:
            json["Tags"] = node.tags
        return json

    def _describe_hot(self, node_id: int) -> bytes:
        # By hand: endpoints were validated as ip:port, so nothing here needs escaping.
        report = self._t.report(node_id)
        is_online = self._t.is_online(node_id)
        parts = [f',"HomeDERP":{report.home_derp},"DERP":"{derp_address(report.home_derp)}"']
        if report.endpoints:
            parts.append(',"Endpoints":["' + '","'.join(report.endpoints) + '"]')
        parts.append(',"Online":true}' if is_online else ',"Online":false')
        if not is_online:
            if report.last_seen is not None:
                parts.append(f',"LastSeen":"{go_time(report.last_seen)}"')
            parts.append("}")
        return "".join(parts).encode()
