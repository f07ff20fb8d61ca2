"""A node as JSON (tailcfg.Node), for its peers and for itself, and as a patch (tailcfg.PeerChange).

What all viewers may see alike is encoded once and shared: a static part that changes with hard
facts, and a hot part (home relay, endpoints, online) that changes all the time. Joining the two
is two orders of magnitude cheaper than encoding a node for each of its peers.

Source: tailcfg.Node, capability version 142. Both `HomeDERP` and `DERP` are sent (clients below 111
know only the second), AllowedIPs always (below 112 absent means none), `Online` always (a client
that never had a value ignores a later one).
"""

from __future__ import annotations

import orjson

from meshbox.tailnet.changes import Fact
from meshbox.tailnet.dns import node_fqdn
from meshbox.tailnet.model import Node, Report
from meshbox.tailnet.tailnet import Tailnet
from meshbox.tailnet.users import TAGGED_DEVICES_ID, TAGGED_DEVICES_NAME
from meshbox.wire.derpmap import derp_address
from meshbox.wire.gojson import go_time
from meshbox.wire.hostinfo import self_view
from meshbox.wire.keys import DiscoKey
from meshbox.wire.replies import user_profile
from meshbox.wire.tailcfg import CAP_ADMIN, CAP_FILE_SHARING, CAP_SSH

Json = dict[str, object]


class Peers:
    """Encoded nodes, kept until their facts change (`forget`)."""

    def __init__(self, t: Tailnet) -> None:
        self._t = t
        self._static: dict[int, bytes] = {}
        self._hot: dict[int, bytes] = {}

    def forget(self, node_id: int, facts: Fact) -> None:
        self._hot.pop(node_id, None)
        if facts & ~Fact.HOT:
            self._static.pop(node_id, None)

    def forget_all(self) -> None:
        self._static.clear()
        self._hot.clear()

    def node(self, node_id: int) -> bytes:
        """The node as its peers see it: one JSON object."""
        static = self._static.get(node_id)
        if static is None:
            # Kept without its closing brace. The copy matters: orjson's own result keeps its
            # over-allocated buffer, eight times the size of a node.
            static = self._static[node_id] = bytes(memoryview(orjson.dumps(self._describe(node_id)))[:-1])
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
        json = self._json(node, report, orjson.Fragment(self_view(report.hostinfo, report.advertised_routes)))
        json["Machine"] = str(node.machine_key)
        json["MachineAuthorized"] = True
        json["HomeDERP"] = report.home_derp
        json["DERP"] = derp_address(report.home_derp)
        json["Online"] = True
        json["CapMap"] = self._capabilities(node)
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

    def _describe(self, node_id: int) -> Json:
        node, report = self._t.nodes[node_id], self._t.report(node_id)
        json = self._json(node, report, orjson.Fragment(report.peer_hostinfo))
        json["MachineAuthorized"] = True
        if node_id in self._t.expired:
            json["Expired"] = True
        return json

    def _json(self, node: Node, report: Report, hostinfo: orjson.Fragment) -> Json:
        addresses = [f"{address}/{address.max_prefixlen}" for address in node.addresses]
        json: Json = {
            "ID": node.id,
            "StableID": node.stable_id,
            "Name": node_fqdn(self._t.settings, node.name),
            "User": TAGGED_DEVICES_ID if node.user_id is None else node.user_id,
            "Key": str(node.node_key),
            "DiscoKey": str(report.disco_key or DiscoKey.zero()),
            "Addresses": addresses,
            "AllowedIPs": addresses,
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

    def _capabilities(self, node: Node) -> dict[str, list[object]]:
        capabilities: dict[str, list[object]] = {CAP_SSH: []}
        if not node.is_tagged:
            capabilities[CAP_ADMIN] = []
        if self._t.settings.taildrop:
            capabilities[CAP_FILE_SHARING] = []
        return capabilities
