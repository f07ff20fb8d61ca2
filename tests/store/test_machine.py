"""Random lives of a store, against plain dictionaries: what it loads is what it was told."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from meshbox import store
from meshbox.errors import Conflict
from meshbox.store import backup
from meshbox.tailnet.model import Audit, AuthKey, Node, PolicyVersion, Report, User
from meshbox.tailnet.ports import Committed, Delete, Put, Spend, Step
from meshbox.wire.keys import NodeKey
from tests.store.samples import START, auth_key, digest, node, policy, report, user

few = st.integers(1, 6)


class StoreMachine(RuleBasedStateMachine):
    """Numbers are few, so that names, keys and owners clash often."""

    @initialize()
    def begin(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.kept = store.open(self.directory / "mesh.sqlite", START)
        self.users: dict[int, User] = {}
        self.nodes: dict[int, Node] = {}
        self.keys: dict[int, AuthKey] = {}
        self.reports: dict[int, Report] = {}
        self.policies: dict[int, PolicyVersion] = {}
        self.log: list[Committed] = []
        self.given: set[int] = set()

    def teardown(self) -> None:
        if hasattr(self, "kept"):
            self.kept.close()
            shutil.rmtree(self.directory)

    def commit(self, *steps: Step, allowed: bool) -> None:
        """Commit in the store and, if the rules allow it, in the model."""
        try:
            generation = self.kept.commit(steps)
        except Conflict:
            assert not allowed, steps
        else:
            assert allowed, steps
            self.log.append(Committed(generation, steps))
            assert generation == len(self.log)

    @rule(number=few, name=few)
    def put_user(self, number: int, name: int) -> None:
        value = user(number, name=f"user{name}")
        allowed = all(other.name != value.name for other in self.users.values() if other.id != number)
        self.commit(Put(value), allowed=allowed)
        if allowed:
            self.users[number] = value

    @rule(number=few, owner=few)
    def put_key(self, number: int, owner: int) -> None:
        self.commit(Put(auth_key(number, user_id=owner)), allowed=owner in self.users)
        if owner in self.users:
            self.keys[number] = auth_key(number, user_id=owner)

    @rule(number=few, owner=st.none() | few, machine=few, key=few, name=few)
    def put_node(self, number: int, owner: int | None, machine: int, key: int, name: int) -> None:
        value = node(
            number,
            user_id=owner,
            tags=() if owner else ("tag:a",),
            machine_key=node(machine).machine_key,
            node_key=NodeKey(digest(f"k{key}")),
            name=f"box-{name}",
        )
        allowed = self.may_put(value)
        self.commit(Put(value), Audit(START, "test", "node.put", value.name), allowed=allowed)
        if allowed:
            self.nodes[number] = value

    def may_put(self, value: Node) -> bool:
        others = [other for other in self.nodes.values() if other.id != value.id]
        return (value.user_id is None or value.user_id in self.users) and not any(
            other.node_key == value.node_key
            or other.name == value.name
            or (other.machine_key, other.user_id) == (value.machine_key, value.user_id)
            for other in others
        )

    @rule(key=few, number=few)
    def spend_for_a_node(self, key: int, number: int) -> None:
        """A registration: the key is spent and the node made, or neither."""
        value = node(number, machine_key=node(number).machine_key, name=f"new-{number}", user_id=1)
        spendable = key in self.keys and self.keys[key].used_at is None
        allowed = spendable and self.may_put(value)
        self.commit(Spend(key, START), Put(value), allowed=allowed)
        if allowed:
            self.keys[key] = replace(self.keys[key], used_at=START)
            self.nodes[number] = value

    @rule(number=few)
    def delete_node(self, number: int) -> None:
        self.commit(Delete("node", number), allowed=number in self.nodes)
        self.nodes.pop(number, None)
        self.reports.pop(number, None)

    @rule(number=few)
    def delete_user(self, number: int) -> None:
        owners = [value.user_id for value in self.nodes.values()] + [
            key.user_id for key in self.keys.values()
        ]
        owns = number in owners
        allowed = number in self.users and not owns
        self.commit(Delete("user", number), allowed=allowed)
        if allowed:
            del self.users[number]

    @rule(number=few, text=st.sampled_from(["", "{}", "acls: []\r\n"]))
    def put_policy(self, number: int, text: str) -> None:
        """A version is there for good."""
        value = policy(number, text=text)
        allowed = number not in self.policies
        self.commit(Put(value), Audit(START, "test", "policy.set", str(number)), allowed=allowed)
        if allowed:
            self.policies[number] = value

    @rule(number=few)
    def delete_policy(self, number: int) -> None:
        self.commit(Delete("policy", number), allowed=False)

    @rule()
    def take_a_version(self) -> None:
        number = self.kept.new_id("policy")
        self.commit(Put(policy(number)), allowed=True)
        self.policies[number] = policy(number)

    @rule(numbers=st.sets(few), version=st.integers(0, 3))
    def flush(self, numbers: set[int], version: int) -> None:
        told = {number: report(number, capver=version) for number in numbers}
        self.kept.flush(told)
        self.reports |= {number: value for number, value in told.items() if number in self.nodes}

    @rule()
    def take_an_id(self) -> None:
        number = self.kept.new_id("node")
        assert number not in self.given
        assert number not in self.nodes
        self.given.add(number)
        self.commit(Put(user(1)), allowed=self.may_have_user_one())
        if self.may_have_user_one():
            self.users[1] = user(1)

    def may_have_user_one(self) -> bool:
        return all(other.name != "user1" for other in self.users.values() if other.id != 1)

    @rule()
    def reopen(self) -> None:
        self.kept.close()
        self.kept = store.open(self.directory / "mesh.sqlite", START)
        # Ids that were handed out but never committed are unknown to everybody.
        self.given = set()

    @rule()
    def back_up_and_restore(self) -> None:
        copy = self.directory / "copy.sqlite"
        backup.save(self.directory / "mesh.sqlite", copy)
        self.kept.close()
        backup.restore(copy, self.directory / "mesh.sqlite", force=True)
        self.kept = store.open(self.directory / "mesh.sqlite", START)
        self.given = set()

    @invariant()
    def loads_what_it_was_told(self) -> None:
        if not hasattr(self, "kept"):
            return
        saved = self.kept.load()
        assert {value.id: value for value in saved.users} == self.users
        assert {value.id: value for value in saved.nodes} == self.nodes
        assert {value.id: value for value in saved.auth_keys} == self.keys
        assert saved.reports == self.reports
        newest = max(self.policies, default=None)
        assert saved.policy == (None if newest is None else self.policies[newest])
        history = self.kept.policy_versions(99)
        assert [entry.id for entry in history] == sorted(self.policies, reverse=True)
        assert all(self.kept.policy_version(number) == value for number, value in self.policies.items())
        assert saved.generation == len(self.log)
        assert self.kept.since(0) == self.log


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
