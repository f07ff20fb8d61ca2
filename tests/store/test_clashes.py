"""Every rule of the schema, broken once: what the refusal says, and that nothing else changed."""

from __future__ import annotations

import pytest

from meshbox.errors import Conflict
from meshbox.store.store import SqliteStore
from meshbox.tailnet.ports import Delete, Put, Spend, Step
from tests.store.samples import START, api_key, auth_key, node, user

CLASHES = [
    ([Put(user(2, name="user1"))], "there is already a user named 'user1'"),
    ([Put(user(2, provider="p", subject="s"))], "this identity at p already belongs to another user"),
    ([Put(node(2, name="box-1"))], "there is already a node named 'box-1'"),
    ([Put(node(2, node_key=node(1).node_key))], "this node key is already in use"),
    ([Put(node(2, machine_key=node(1).machine_key))], "this machine already has a node of this owner"),
    ([Put(node(2, ipv4=node(1).ipv4))], "the address 100.64.0.1 is already taken"),
    ([Put(node(2, ipv6=node(1).ipv6))], "the address fd7a:115c:a1e0::1 is already taken"),
    ([Put(node(2, stable_id="n1"))], "there is already a row with this stable id"),
    ([Put(node(2, user_id=9))], "there is no user with id 9"),
    ([Put(auth_key(2, user_id=9))], "there is no user with id 9"),
    ([Put(auth_key(2, prefix="prefix1"))], "there is already a row with this prefix"),
    ([Put(api_key(2, prefix="api1"))], "there is already a row with this prefix"),
    (
        [Put(node(2, user_id=None))],
        "the database refused node 2: CHECK constraint failed: a node has an owner",
    ),
    (
        [Put(node(2, tags=("tag:a",)))],
        "the database refused node 2: CHECK constraint failed: a node has an owner",
    ),
    ([Delete("user", 1)], "user 1 still owns nodes or pre-auth keys"),
    ([Delete("auth_key", 9)], "there is no auth key 9 any more"),
    ([Spend(1, START), Spend(1, START)], "this one-off pre-auth key was already used"),
    ([Spend(9, START)], "this one-off pre-auth key was already used"),
]


@pytest.mark.parametrize(("steps", "sentence"), CLASHES, ids=[text for _, text in CLASHES])
def test_a_clash_is_named_and_changes_nothing(kept: SqliteStore, steps: list[Step], sentence: str) -> None:
    kept.commit([Put(user(1, provider="p", subject="s")), Put(auth_key(1)), Put(api_key(1)), Put(node(1))])
    before = kept.load()
    with pytest.raises(Conflict) as caught:
        kept.commit([Put(user(5)), *steps])
    assert str(caught.value).startswith(sentence)
    assert kept.load() == before
