"""The aggregate: every user, node and key in memory, with the indexes that reads need.

There is one writer, and it is synchronous: `commit` and `tell` are plain functions, so the event
loop is the lock. A hard fact goes to the store first and only then into the indexes and the
changes log; a soft fact goes into the log at once and to the store with the next `flush`.

What became dirty is never said by the caller. It is found by comparing the old value with the
new one, here and only here, so that a change can not be forgotten, and a batch that another
instance committed takes the same door.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from meshbox.policy.document import Document
from meshbox.policy.sight import View, bit
from meshbox.policy.world import Device, World
from meshbox.tailnet import kept
from meshbox.tailnet.addresses import AddressPool
from meshbox.tailnet.admission import Admission
from meshbox.tailnet.changes import Changes, Common, Fact
from meshbox.tailnet.deadlines import Deadlines, Due
from meshbox.tailnet.differences import is_seen_by_policy, node_facts, report_facts
from meshbox.tailnet.dnschanges import DnsChanges
from meshbox.tailnet.enforcement import Enforcement
from meshbox.tailnet.model import (
    ApiKey,
    Audit,
    AuthKey,
    Check,
    Login,
    Node,
    Notice,
    Pending,
    PolicyVersion,
    Report,
    User,
)
from meshbox.tailnet.ports import Delete, Entropy, Put, Spend, Step, Store
from meshbox.tailnet.presence import Presence
from meshbox.tailnet.settings import CGNAT, ULA, Settings
from meshbox.tailnet.worldview import device_of, person_of
from meshbox.wire.derpmap import DerpMap
from meshbox.wire.keys import MachineKey, NodeKey

Listener = Callable[[], None]

NO_REPORT = Report()


class Tailnet:
    """All state. `entropy(n)` gives random bytes; `now` is always passed in."""

    def __init__(
        self, settings: Settings, store: Store, entropy: Entropy, derp_map: DerpMap, now: float
    ) -> None:
        self.settings = settings
        self.store = store
        self.entropy = entropy
        self.derp_map = self._configured_relays = derp_map
        self.changes = Changes()
        self.admission = Admission()
        self.enforcement = Enforcement(self.changes, self.people, self.world, self.device)
        self.deadlines = Deadlines()
        self.presence = Presence(self.deadlines, self._came_online, self._went_offline)
        self.users: dict[int, User] = {}
        self.nodes: dict[int, Node] = {}
        self.reports: dict[int, Report] = {}
        self.auth_keys: dict[int, AuthKey] = {}
        self.api_keys: dict[int, ApiKey] = {}
        self.notices: dict[int, Notice] = {}
        self.pending: dict[str, Pending] = {}
        self.checks: dict[str, Check] = {}
        self.confirmed: dict[Login, float] = {}
        self.policy: PolicyVersion | None = None
        self.in_force = kept.InForce()
        self.by_node_key: dict[NodeKey, int] = {}
        self.by_machine: dict[MachineKey, frozenset[int]] = {}
        self.by_name: dict[str, int] = {}
        self.by_user_name: dict[str, int] = {}
        self.dns_changes = DnsChanges(self.changes, self.by_name, settings)
        self.auth_key_by_prefix: dict[str, int] = {}
        self.api_key_by_prefix: dict[str, int] = {}
        self.everyone: View = 0
        self.expired: set[int] = set()
        self.renamed_at: dict[int, float] = {}
        self._unflushed: dict[int, Report] = {}
        self._listeners: list[Listener] = []
        self._load(now)

    # Reads

    def report(self, node_id: int) -> Report:
        return self.reports.get(node_id, NO_REPORT)

    @property
    def unflushed_count(self) -> int:
        """Nodes whose last report is not in the store yet."""
        return len(self._unflushed)

    def is_online(self, node_id: int) -> bool:
        return self.presence.is_online(node_id)

    def nodes_of_machine(self, machine_key: MachineKey) -> list[Node]:
        return [self.nodes[node_id] for node_id in sorted(self.by_machine.get(machine_key, ()))]

    def nodes_of_user(self, user_id: int) -> list[Node]:
        return [node for node in self.nodes.values() if node.user_id == user_id]

    def admits(self, node_key: bytes, now: float) -> bool:
        """May this node key use the relay? Only a node we have that is let in."""
        node_id = self.by_node_key.get(NodeKey(node_key))
        return node_id is not None and self.nodes[node_id].is_let_in(now)

    # As the policy sees it

    def device(self, node_id: int) -> Device | None:
        node = self.nodes.get(node_id)
        if node is None or not node.is_approved:
            return None
        return device_of(node, self.report(node_id), self.presence.is_well(node_id))

    def world(self) -> World:
        devices = {one: device for one in self.nodes if (device := self.device(one)) is not None}
        return replace(self.people(), devices=devices)

    def people(self) -> World:
        """The world without its devices, which are most of its cost."""
        people = {user.id: person_of(user) for user in self.users.values()}
        prefixes = (self.settings.prefix_v4, self.settings.prefix_v6)
        own = tuple(prefix for prefix in prefixes if prefix not in (None, CGNAT, ULA))
        return World(people, prefixes=tuple(prefix for prefix in own if prefix is not None))

    def enforce(self, document: Document | None) -> None:
        """Another policy is in force from now on; sessions hear what that means for them."""
        self.enforcement.enforce(document)
        self._settle_relays()
        self.announce()

    # Listeners

    def on_change(self, listener: Listener) -> None:
        """`listener()` is called synchronously after anything was appended to the changes log."""
        self._listeners.append(listener)

    def announce(self) -> None:
        for listener in self._listeners:
            listener()

    # Writes

    def commit(self, now: float, *steps: Step) -> None:
        """Make hard facts durable, then true, then known. Raises Conflict or StoreFull: then
        nothing has changed."""
        self.store.commit(steps)
        for step in steps:
            self._apply(step, now)
        self.announce()

    def tell(self, node_id: int, report: Report) -> None:
        """A node reported soft facts: peers hear of them now, the store with the next flush."""
        old = self.report(node_id)
        if report == old:
            return
        self.reports[node_id] = report
        self._unflushed[node_id] = report
        if is_seen_by_policy(old, report):
            self.enforcement.touch(node_id)
        facts = report_facts(old, report)
        if facts:
            self.changes.append(node_id, facts)
            self.announce()

    def flush(self, limit: int | None = None) -> int:
        """Write soft facts that changed since the last flush, of at most `limit` nodes; returns of how
        many. What could not be written is kept for the next try."""
        waiting = dict(islice(self._unflushed.items(), limit))
        if waiting:
            self.store.flush(waiting)
            for node_id in waiting:
                del self._unflushed[node_id]
        return len(waiting)

    def change_common(self, common: Common) -> None:
        self.changes.append_common(common)
        self.announce()

    def configure(self, settings: Settings) -> None:
        """Swap the settings after a reload; sessions hear of the difference."""
        old, self.settings = self.settings, settings
        if self.dns_changes.of_settings(old, settings):
            self.announce()
        if old.hinted != settings.hinted:
            self.change_common(Common.HINTS)

    def set_derp_map(self, derp_map: DerpMap) -> None:
        """Replace the relay map of the configuration."""
        self._configured_relays = derp_map
        self._settle_relays()

    def _settle_relays(self) -> None:
        """The map that clients are sent: the configuration's, and what the policy says of it. Equal maps are
        not announced: a changed region definition makes every client drop its relay connection."""
        document = self.enforcement.document
        relays = None if document is None else document.relays
        derp_map = self._configured_relays if relays is None else relays.over(self._configured_relays)
        if derp_map != self.derp_map:
            self.derp_map = derp_map
            self.change_common(Common.DERP_MAP)

    # The one door through which values enter the indexes

    def _apply(self, step: Step, now: float) -> None:
        match step:
            case Put(value=Node() as node):
                self._put_node(node, now)
            case Put(value=User() as user):
                self._put_user(user)
            case Put(value=AuthKey() as key):
                self._put_auth_key(key)
            case Put(value=ApiKey() as api_key):
                self.api_keys[api_key.id] = api_key
                self.api_key_by_prefix[api_key.prefix] = api_key.id
            case Put(value=Notice() as notice):
                self.notices[notice.id] = notice
                self.changes.append_common(Common.HINTS)
            case Put(value=PolicyVersion() as version):
                self._put_policy(version)
            case Delete():
                self._delete(step)
            case Spend() | Audit():
                pass

    def _put_policy(self, version: PolicyVersion) -> None:
        self.policy = version
        self.in_force = kept.follow(self.in_force, version)
        self.enforcement.enforce(self.in_force.document)
        self._settle_relays()

    def _put_user(self, user: User) -> None:
        old = self.users.get(user.id)
        if old is not None:
            self.by_user_name.pop(old.name, None)
        self.users[user.id] = user
        self.by_user_name[user.name] = user.id
        if old is not None and old != user:
            self.changes.append_common(Common.USERS)
        if old is None or person_of(old) != person_of(user):
            self.enforcement.people_changed()

    def _put_auth_key(self, key: AuthKey) -> None:
        self.auth_keys[key.id] = key
        self.auth_key_by_prefix[key.prefix] = key.id

    def _put_node(self, node: Node, now: float) -> None:
        old = self.nodes.get(node.id)
        if old is not None:
            self._unindex(old)
        self.nodes[node.id] = node
        self._index(node)
        self._schedule_expiry(node, now)
        if node.ephemeral and not self.is_online(node.id):
            self.deadlines.set(Due.EPHEMERAL, node.id, now + self.settings.ephemeral_timeout)
        self.admission.follow(old, node, now)
        self.enforcement.touch(node.id)
        facts = node_facts(old, node, now)
        if facts:
            self.changes.append(node.id, facts)
        self.dns_changes.of_node(old, node)

    def _delete(self, step: Delete) -> None:
        match step.kind:
            case "node":
                self._delete_node(step.id)
            case "user":
                self.by_user_name.pop(self.users.pop(step.id).name, None)
                self.enforcement.people_changed()
            case "auth_key":
                self.auth_key_by_prefix.pop(self.auth_keys.pop(step.id).prefix, None)
            case "notice":
                del self.notices[step.id]
                self.changes.append_common(Common.HINTS)
            case "api_key":
                self.api_key_by_prefix.pop(self.api_keys.pop(step.id).prefix, None)

    def _delete_node(self, node_id: int) -> None:
        node = self.nodes.pop(node_id)
        self._unindex(node)
        self.presence.forget(node_id)
        self.reports.pop(node_id, None)
        self._unflushed.pop(node_id, None)
        self.renamed_at.pop(node_id, None)
        self.expired.discard(node_id)
        self.deadlines.cancel(Due.EXPIRY, node_id)
        self.deadlines.cancel(Due.EPHEMERAL, node_id)
        self.admission.say(node.node_key, False)
        self.enforcement.touch(node_id)
        self.changes.append(node_id, Fact.SIGHT)
        self.dns_changes.of_node(node, None)

    def _index(self, node: Node) -> None:
        self.by_node_key[node.node_key] = node.id
        self.by_machine[node.machine_key] = self.by_machine.get(node.machine_key, frozenset()) | {node.id}
        self.by_name[node.name] = node.id
        self.everyone |= bit(node.id)

    def _unindex(self, node: Node) -> None:
        del self.by_node_key[node.node_key]
        del self.by_name[node.name]
        rest = self.by_machine[node.machine_key] - {node.id}
        if rest:
            self.by_machine[node.machine_key] = rest
        else:
            del self.by_machine[node.machine_key]
        if node.id not in self.nodes:
            self.everyone &= ~bit(node.id)
            for address in node.addresses:
                self.addresses.release(address)

    # Presence, expiry and other deadlines

    def _came_online(self, node_id: int) -> None:
        self.deadlines.cancel(Due.EPHEMERAL, node_id)
        self._told_presence(node_id, Fact.ONLINE)

    def _went_offline(self, node_id: int, now: float) -> None:
        if self.nodes[node_id].ephemeral:
            self.deadlines.set(Due.EPHEMERAL, node_id, now + self.settings.ephemeral_timeout)
        self.reports[node_id] = self._unflushed[node_id] = replace(self.report(node_id), last_seen=now)
        self._told_presence(node_id, Fact.ONLINE | Fact.LAST_SEEN)

    def _told_presence(self, node_id: int, facts: Fact) -> None:
        if self.nodes[node_id].approved_routes:
            # Another router may have to carry its routes. Of others the policy does not ask.
            self.enforcement.touch(node_id)
        self.changes.append(node_id, facts)
        self.announce()

    def _schedule_expiry(self, node: Node, now: float) -> None:
        self.deadlines.cancel(Due.EXPIRY, node.id)
        self.expired.discard(node.id)
        if node.is_expired(now):
            self.expired.add(node.id)
        elif node.expires_at is not None:
            self.deadlines.set(Due.EXPIRY, node.id, node.expires_at)

    def expire_now(self, node_id: int) -> None:
        """The node's key has just passed its date: peers drop it, the relay cuts it."""
        self.expired.add(node_id)
        self.admission.say(self.nodes[node_id].node_key, False)
        self.changes.append(node_id, Fact.WHOLE | Fact.SIGHT)
        self.announce()

    def _load(self, now: float) -> None:
        saved = self.store.load()
        settings = self.settings
        self.users = {user.id: user for user in saved.users}
        self.by_user_name = {user.name: user.id for user in saved.users}
        for key in saved.auth_keys:
            self._put_auth_key(key)
        for api_key in saved.api_keys:
            self.api_keys[api_key.id] = api_key
            self.api_key_by_prefix[api_key.prefix] = api_key.id
        self.notices = {notice.id: notice for notice in saved.notices}
        self.reports = dict(saved.reports)
        self.addresses = AddressPool(
            settings.prefix_v4,
            settings.prefix_v6,
            settings.allocation,
            (address for node in saved.nodes for address in node.addresses),
        )
        for node in saved.nodes:
            self.nodes[node.id] = node
            self._index(node)
            self._schedule_expiry(node, now)
            if node.ephemeral:
                # Nobody is online yet; those that do not come back are cleaned up as if they had just left.
                self.deadlines.set(Due.EPHEMERAL, node.id, now + settings.ephemeral_timeout)
        self.policy = saved.policy
        self.in_force = kept.find(self.store, saved.policy)
        if self.in_force.document is not None:
            self.enforcement.enforce(self.in_force.document)
            self._settle_relays()
