"""Map messages: the full map that begins a session, and what a session is told afterwards.

One Mapper serves all sessions and holds what they share: encoded peers, blocks, deltas, and the
common part of a full map. It decides nothing about who sees whom; that is the policy (enforcement.py).
"""

from __future__ import annotations

from meshbox import fastjson
from meshbox.policy.outlook import NOTHING, Outlook
from meshbox.policy.sight import View, members
from meshbox.tailnet.blocks import Blocks
from meshbox.tailnet.changes import Common
from meshbox.tailnet.deltas import Deltas
from meshbox.tailnet.dnsview import DnsView
from meshbox.tailnet.frames import Coding, join_pieces
from meshbox.tailnet.hints import Hints
from meshbox.tailnet.model import Node
from meshbox.tailnet.peers import Peers
from meshbox.tailnet.permits import Permit, Permits
from meshbox.tailnet.tailnet import Tailnet
from meshbox.wire.derpmap import PINS_SINCE, to_json
from meshbox.wire.gojson import go_time

Json = dict[str, object]

PROFILE_MEMO_LIMIT = 64

Full = tuple[list[bytes], int]


class Mapper:
    def __init__(self, t: Tailnet) -> None:
        self.t = t
        self.peers = Peers(t)
        self.blocks = Blocks(t, self.peers)
        self.deltas = Deltas(self.peers)
        self.permits = Permits(t)
        self.dns_view = DnsView(t)
        self.hints = Hints(t)
        self._common: dict[tuple[bool, bool], bytes] = {}
        self._profiles: dict[tuple[frozenset[int], bool], bytes] = {}
        self._news: dict[tuple[Common, Outlook, bool, bool], bytes] = {}
        self._common_cursor = -1

    def outlook(self, node: Node, now: float) -> Outlook:
        """What this node is shown of the others. An expired node is shown nothing."""
        # Asked for an expired node too: it brings the policy up to date, and so into the log that a session
        # reads next, what changed in the node's filter.
        outlook = self.t.enforcement.outlook(node.id)
        return NOTHING if node.is_expired(now) else outlook

    def full(self, node: Node, outlook: Outlook, permit: Permit, coding: Coding, now: float) -> Full:
        """The framed full map as pieces, most of them shared, and the cursor it is true for."""
        self._catch_up()
        selection = self.blocks.select(outlook, node.id, coding, now)
        owners = selection.owners | {self.peers.owner(node.id)}
        own = fastjson.dumps({"Node": self.peers.self_node(node, now), "ControlTime": go_time(now)})
        pieces = [
            coding.encode(own[:-1] + b"," + permit.fields + self.hints.fields(node) + b","),
            self.dns_view.member(node, coding),
            self._common_piece(self._knows_pins(node), coding),
            self._profiles_piece(owners, coding),
        ]
        comma = coding.encode(b",")
        for index, piece in enumerate(selection.pieces):
            if index:
                pieces.append(comma)
            pieces.append(piece)
        pieces.append(coding.encode(b"]}"))
        return join_pieces(pieces), selection.cursor

    def permit(self, node: Node) -> Permit:
        """What the node lets in, freshly written."""
        return self.permits.of(node.id)

    def dns(self, node: Node) -> bytes:
        """The node's DNS configuration as JSON. A session sends it again when it is not what it was."""
        return self.dns_view.piece(node)

    def own_news(self, node: Node, coding: Coding, now: float) -> bytes:
        """The viewer's own node changed, its owner perhaps with it."""
        profiles = [self.peers.profile(self.peers.owner(node.id))]
        fields: Json = {"Node": self.peers.self_node(node, now), "UserProfiles": profiles}
        return coding.message(fastjson.dumps(fields))

    def common_news(self, common: Common, node: Node, outlook: Outlook, coding: Coding) -> bytes:
        """What changed that belongs to no node; the same for all who see the same."""
        self._catch_up()
        pins = self._knows_pins(node)
        key = (common, outlook, pins, coding.is_compressed)
        message = self._news.get(key)
        if message is None:
            fields = self._common_fields(common, outlook.view, pins)
            message = self._news[key] = coding.message(fastjson.dumps(fields)) if fields else b""
        return message

    def _knows_pins(self, node: Node) -> bool:
        report = self.t.reports.get(node.id)
        return report is None or report.capver >= PINS_SINCE

    def _common_fields(self, common: Common, view: View, pins: bool) -> Json:
        fields: Json = {}
        if common & Common.DERP_MAP:
            fields["DERPMap"] = to_json(self.t.derp_map, pins)
        if common & Common.USERS:
            # Only owners of nodes in sight: a hidden user's name is as hidden as the nodes.
            owners = sorted({self.peers.owner(node_id) for node_id in members(view & self.t.everyone)})
            fields["UserProfiles"] = [self.peers.profile(owner) for owner in owners]
        return fields

    def _catch_up(self) -> None:
        self.blocks.catch_up()
        cursor = self.t.changes.common_cursor
        if cursor != self._common_cursor:
            self._common_cursor = cursor
            self._common.clear()
            self._news.clear()
            self._profiles.clear()

    def _common_piece(self, pins: bool, coding: Coding) -> bytes:
        key = (pins, coding.is_compressed)
        piece = self._common.get(key)
        if piece is None:
            fields: Json = {
                "DERPMap": to_json(self.t.derp_map, pins),
                "Domain": self.t.settings.domain,
                "CollectServices": False,
            }
            if self.t.settings.auto_update:
                # For clients below 131; later ones look at their own capabilities.
                fields["DefaultAutoUpdate"] = True
            if not self.t.settings.collect_logs:
                # Clients send their logs to their vendor unless told not to.
                fields["Debug"] = {"DisableLogTail": True}
            piece = self._common[key] = coding.encode(fastjson.dumps(fields)[1:-1] + b",")
        return piece

    def _profiles_piece(self, owners: frozenset[int], coding: Coding) -> bytes:
        key = (owners, coding.is_compressed)
        piece = self._profiles.get(key)
        if piece is None:
            if len(self._profiles) >= PROFILE_MEMO_LIMIT:
                self._profiles.clear()
            profiles = fastjson.dumps([self.peers.profile(owner) for owner in sorted(owners)])
            piece = self._profiles[key] = coding.encode(b'"UserProfiles":' + profiles + b',"Peers":[')
        return piece
