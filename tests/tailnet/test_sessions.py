"""Whatever happens, a session that has heard all news knows exactly what a fresh full map would say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from meshbox.errors import OperatorError
from meshbox.policy.compiled import compile_policy
from meshbox.policy.sight import members
from meshbox.tailnet import devices, enrol, report, users
from meshbox.tailnet.changes import Changes
from meshbox.tailnet.clockwork import advance
from meshbox.tailnet.enforcement import Enforcement
from meshbox.tailnet.mapper import Mapper
from meshbox.tailnet.model import Node
from meshbox.tailnet.poll import Poll
from meshbox.tailnet.ports import Put
from meshbox.tailnet.tailnet import Tailnet
from tests.tailnet.build import (
    NOW,
    allow,
    machine,
    make_key,
    make_tailnet,
    map_request,
    policy,
    register_request,
)
from tests.tailnet.memory import MemoryStore, PaperClient

MACHINES = st.integers(1, 6)
NAMES = st.sampled_from(["lab", "nas", "Joe's Mac", ""])


ROUTES = st.lists(st.sampled_from(["10.33.0.0/16", "10.44.0.0/16", "0.0.0.0/0", "::/0"]), unique=True)
POLICIES: list[dict[str, Any]] = [
    {},
    {"acls": []},
    {"acls": [allow("*", "*:*")]},
    {"acls": [allow("ana@", "autogroup:member:*", "tag:ci:22")]},
    {"acls": [allow("autogroup:member", "autogroup:self:*"), allow("bo@", "10.33.0.0/16:*")]},
    {"acls": [allow("group:g", "tag:db:5432"), allow("tag:db", "autogroup:internet:*")]},
    {"grants": [{"src": ["ana@"], "dst": ["10.33.0.0/16"], "ip": ["*"], "via": ["tag:ci"]}]},
    {"nodeAttrs": [{"target": ["bo@"], "attr": ["disable-ipv4", "randomize-client-port"]}]},
    {
        "acls": [allow("10.44.0.0/16", "bo@:80")],
        "ssh": [
            {"action": "accept", "src": ["autogroup:member"], "dst": ["autogroup:self"], "users": ["root"]},
            {"action": "check", "src": ["ana@"], "dst": ["tag:ci"], "users": ["autogroup:nonroot"]},
        ],
    },
]
ACTS = st.sampled_from(["delete", "rename", "expire", "soon", "never", "tag", "move", "routes"])
COMMON = {"tagOwners": {"tag:ci": [], "tag:db": []}, "groups": {"group:g": ["bo@"]}}


class Session:
    def __init__(self, mapper: Mapper, node: Any, now: float) -> None:
        self.poll = Poll(mapper, node, "zstd")
        self.client = PaperClient()
        self.token = mapper.t.presence.enter(node.id)
        self.mapper = mapper
        self.take(self.poll.first(now), now)

    def hear(self, now: float) -> None:
        self.take(self.poll.next(now), now)

    def take(self, parts: Sequence[bytes], now: float) -> None:
        """Nothing of a node that the policy hides may be in what is told: no id, key, disco key or name."""
        messages = self.client.feed(parts)
        t, viewer = self.mapper.t, self.poll.node_id
        # Seen pair by pair, from nothing but the rules: a compile of its own.
        fresh = compile_policy(t.enforcement.document, t.world())
        is_blind = viewer not in t.nodes or t.nodes[viewer].is_expired(now)
        view = 0 if is_blind else fresh.view(viewer, t.everyone)
        hidden = [node for node in t.nodes.values() if node.id != viewer and not view >> node.id & 1]
        for message in messages:
            told = [peer["ID"] for name in ("Peers", "PeersChanged") for peer in message.get(name) or ()]
            told += [patch["NodeID"] for patch in message.get("PeersChangedPatch") or ()]
            assert not {node.id for node in hidden} & set(told)
            text = repr(message)
            for node in hidden:
                disco = t.report(node.id).disco_key
                assert str(node.node_key) not in text and f"'{node.stable_id}'" not in text
                assert disco is None or str(disco) not in text or self.shares_disco(disco, hidden)

    def shares_disco(self, disco: object, hidden: Sequence[Node]) -> bool:
        """Two nodes of these tests may report one key; then it says nothing of the hidden one."""
        away = {node.id for node in hidden}
        reports = self.mapper.t.reports
        return any(report.disco_key == disco for one, report in reports.items() if one not in away)


class Sessions(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryStore()
        self.t: Tailnet = make_tailnet(self.store, ephemeral_timeout=50.0)
        self.mapper = Mapper(self.t)
        self.now = NOW
        self.keys = {
            "ana": make_key(self.t, "ana", reusable=True),
            "bo": make_key(self.t, "bo", reusable=True),
            "tagged": make_key(self.t, "ana", reusable=True, tags=("tag:ci",)),
            "ephemeral": make_key(self.t, "bo", reusable=True, ephemeral=True),
        }
        self.node_keys: dict[int, int] = {}
        self.next_key = 100
        self.sessions: list[Session] = []

    def ids(self) -> list[int]:
        return sorted(self.t.nodes)

    @rule(number=MACHINES, name=NAMES, key=st.sampled_from(["ana", "bo", "tagged", "ephemeral"]))
    def log_in(self, number: int, name: str, key: str) -> None:
        self.next_key += 1
        old = self.node_keys.get(number, number)
        request = register_request(self.next_key, name, auth_key=self.keys[key], old=old)
        outcome = enrol.register(self.t, machine(number), request, "192.0.2.1", self.now)
        assert isinstance(outcome, enrol.Accepted)
        self.node_keys[number] = self.next_key

    @rule(number=MACHINES)
    def log_out(self, number: int) -> None:
        request = register_request(self.node_keys.get(number, 1), expiry="1970-01-01T00:02:03Z")
        enrol.register(self.t, machine(number), request, "192.0.2.1", self.now)

    @rule(
        number=MACHINES,
        name=NAMES,
        derp=st.sampled_from([0, 900, 999]),
        disco=st.integers(1, 3),
        routes=ROUTES,
        endpoints=st.lists(st.sampled_from(["192.0.2.1:1", "192.0.2.2:2", "[2001:db8::1]:3"]), unique=True),
    )
    def say(self, number: int, name: str, **fields: Any) -> None:
        key = self.node_keys.get(number)
        if key is not None and self.t.by_node_key.get(map_request(key).node_key) is not None:
            report.take(self.t, machine(number), map_request(key, name, **fields), self.now)

    @precondition(lambda self: self.t.nodes)
    @rule(data=st.data())
    def open_session(self, data: st.DataObject) -> None:
        node = self.t.nodes[data.draw(st.sampled_from(self.ids()))]
        self.sessions.append(Session(self.mapper, node, self.now))

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def close_session(self, data: st.DataObject) -> None:
        session = self.sessions.pop(data.draw(st.integers(0, len(self.sessions) - 1)))
        self.t.presence.leave(session.token, self.now, 1.0)

    @precondition(lambda self: self.sessions)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.sessions)).hear(self.now)

    @rule(sections=st.sampled_from(POLICIES))
    def set_policy(self, sections: dict[str, Any]) -> None:
        self.t.enforce(policy(**COMMON, **sections) if sections else None)

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        advance(self.t, self.now)

    @precondition(lambda self: self.t.nodes)
    @rule(
        data=st.data(),
        act=ACTS,
    )
    def administer(self, data: st.DataObject, act: str) -> None:
        node_id = data.draw(st.sampled_from(self.ids()))
        user_id = self.t.by_user_name["bo"]
        acts = {
            "delete": lambda: devices.delete(self.t, node_id, "test", self.now),
            "rename": lambda: devices.rename(self.t, node_id, f"chosen-{node_id}", "test", self.now),
            "expire": lambda: devices.expire(self.t, node_id, self.now, "test", self.now),
            "soon": lambda: devices.expire(self.t, node_id, self.now + 2.0, "test", self.now),
            "never": lambda: devices.never_expire(self.t, node_id, "test", self.now),
            "tag": lambda: devices.set_tags(self.t, node_id, ["tag:db"], "test", self.now),
            "routes": lambda: self.approve_all(node_id),
            "move": lambda: devices.set_owner(self.t, node_id, user_id, "test", self.now),
        }
        with contextlib.suppress(OperatorError):
            acts[act]()

    def approve_all(self, node_id: int) -> None:
        node = self.t.nodes[node_id]
        offered = self.t.report(node_id).advertised_routes
        approved = () if node.approved_routes == offered else offered
        self.t.commit(self.now, Put(replace(node, approved_routes=approved)))

    @rule()
    def rename_user(self) -> None:
        user_id = self.t.by_user_name.get("ana") or self.t.by_user_name["anna"]
        name = "anna" if self.t.users[user_id].name == "ana" else "ana"
        users.rename(self.t, user_id, name, "test", self.now)

    @invariant()
    def sessions_that_heard_all_know_all(self) -> None:
        for session in self.sessions:
            if not session.poll.is_behind and not session.poll.is_over:
                self.compare(session)

    def compare(self, session: Session) -> None:
        node = self.t.nodes[session.poll.node_id]
        fresh = PaperClient()
        # Another mapper and a policy compiled afresh, so that nothing kept can make the two agree.
        with self.afresh():
            fresh.feed(Poll(Mapper(self.t), node, "zstd").first(self.now))
        assert set(session.client.peers) == set(fresh.peers)
        for peer_id, peer in fresh.peers.items():
            assert difference(session.client.peers[peer_id], peer) == {}
        # A node is not told what it just told us.
        own = ("HomeDERP", "DiscoKey", "Cap")
        assert difference(session.client.self_node, fresh.self_node, but=own) == {}
        assert as_sets(session.client.filter) == as_sets(fresh.filter)
        assert session.client.ssh == fresh.ssh
        for user_id, profile in fresh.profiles.items():
            assert session.client.profiles[user_id] == profile

    @contextlib.contextmanager
    def afresh(self) -> Iterator[None]:
        kept = self.t.enforcement
        self.t.enforcement = Enforcement(Changes(), self.t.people, self.t.world, self.t.device)
        self.t.enforcement.enforce(kept.document)
        # Who carries a route is history, not a matter of fact.
        self.t.enforcement._carriers = dict(kept._carriers)
        yield
        self.t.enforcement = kept

    @invariant()
    def indexes_agree(self) -> None:
        t = self.t
        assert set(members(t.everyone)) == set(t.nodes)
        assert t.by_node_key == {node.node_key: node.id for node in t.nodes.values()}
        assert t.by_name == {node.name: node.id for node in t.nodes.values()}
        assert {n for ids in t.by_machine.values() for n in ids} == set(t.nodes)
        addresses = [address for node in t.nodes.values() for address in node.addresses]
        assert len(addresses) == len(set(addresses))
        assert {node.id: node for node in self.store.load().nodes} == t.nodes

    def teardown(self) -> None:
        for session in self.sessions:
            session.hear(self.now)
            if session.poll.node_id in self.t.nodes:
                self.compare(session)
            else:
                assert session.poll.is_over


def as_sets(rules: list[dict[str, Any]]) -> set[str]:
    """A filter without the order of its rules: what is merged depends on it, what is open does not."""
    return {
        repr((rule["SrcIPs"], rule.get("IPProto"), entry))
        for rule in rules
        for entry in (*rule.get("DstPorts", ()), *rule.get("CapGrant", ()))
    }


def difference(told: dict[str, Any], true: dict[str, Any], but: tuple[str, ...] = ()) -> dict[str, Any]:
    one, other = normal(told), normal(true)
    names = (one.keys() | other.keys()) - set(but)
    return {name: (one.get(name), other.get(name)) for name in names if one.get(name) != other.get(name)}


def normal(node: dict[str, Any]) -> dict[str, Any]:
    """A node without the ways in which a patched one may differ in spelling."""
    out = {name: value for name, value in node.items() if value not in (None, [], 0, "")}
    if out.get("KeyExpiry", "").startswith("0001"):
        del out["KeyExpiry"]
    if out.get("Online"):
        out.pop("LastSeen", None)
    out.pop("DERP", None)
    return out


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
