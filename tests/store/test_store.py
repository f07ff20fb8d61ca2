"""The store as the tailnet uses it: commit, flush, load, ids, generations, refusals."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from meshbox import store
from meshbox.errors import Conflict, StoreBroken
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import ApiKey, Audit, AuthKey, Node, User
from meshbox.tailnet.ports import Delete, Put, Saved
from meshbox.wire.keys import MachineKey, NodeKey
from tests.store.samples import START, api_key, auth_key, digest, node, report, user


def contents(kept: SqliteStore) -> Saved:
    return kept.load()


def again(kept: SqliteStore) -> SqliteStore:
    kept.close()
    return store.open(kept.path, START)


def test_new_database_is_empty_and_private(kept: SqliteStore, path: Path) -> None:
    assert contents(kept) == Saved(0, [], [], {}, [], [])
    assert kept.schema.found == 0
    kept.commit([Put(user(1))])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert set(modes) == {"mesh.sqlite", "mesh.sqlite-wal", "mesh.sqlite-shm", "mesh.sqlite.lock"}
    assert set(modes.values()) == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_everything_comes_back_as_it_was(kept: SqliteStore) -> None:
    people = [user(1, display_name="Ana Ö.", email="a@b.c"), user(2, provider="https://idp", subject="..")]
    keys = [auth_key(1), auth_key(2, user_id=None, tags=("tag:a", "tag:b"), reusable=True, expires_at=START)]
    tokens = [api_key(1), api_key(2, description="ci", last_used_at=0.1 + 0.2, revoked_at=START)]
    boxes = [
        node(1),
        node(2, user_id=None, tags=("tag:a",), ipv4=None, ephemeral=True, auth_key_id=77),
        node(3, ipv6=None, approved_routes=(ip_network("10.0.0.0/8"), ip_network("::/0")), expires_at=START),
        node(4, name_is_chosen=True, hostname="", register_method="oidc"),
    ]
    values: list[User | Node | AuthKey | ApiKey] = [*people, *keys, *tokens, *boxes]
    for value in values:
        kept.commit([Put(value)])
    told = {1: report(1), 3: report(3, disco_key=None, endpoints=(), advertised_routes=(), last_seen=None)}
    kept.flush(told)
    expected = Saved(len(values), people, boxes, told, keys, tokens)
    assert contents(kept) == expected
    reopened = again(kept)
    assert contents(reopened) == expected
    first = reopened.load().nodes[0]
    assert (type(first.machine_key), type(first.node_key)) == (MachineKey, NodeKey)
    assert first.name_is_chosen is False
    reopened.close()


def test_put_replaces_the_value_with_its_id(kept: SqliteStore) -> None:
    kept.commit([Put(user(1)), Put(node(1))])
    kept.commit([Put(replace(node(1), name="other", tags=("tag:x",), user_id=None))])
    (loaded,) = contents(kept).nodes
    assert (loaded.name, loaded.tags, loaded.user_id) == ("other", ("tag:x",), None)


def test_batch_is_all_or_nothing(kept: SqliteStore) -> None:
    kept.commit([Put(user(1)), Put(node(1))])
    before = contents(kept)
    with pytest.raises(Conflict):
        kept.commit(
            [Put(user(2)), Delete("node", 1), Audit(START, "a", "b", "c"), Put(user(3, name="user1"))]
        )
    assert contents(kept) == before
    assert kept.newest_audit(5) == []
    assert kept.commit([Put(user(2))]) == before.generation + 1


def test_other_user_on_the_same_machine_is_another_node(kept: SqliteStore) -> None:
    machine = node(1).machine_key
    tagged = node(3, machine_key=machine, user_id=None, tags=("tag:a",))
    steps = [
        Put(user(1)),
        Put(user(2)),
        Put(node(1)),
        Put(node(2, machine_key=machine, user_id=2)),
        Put(tagged),
    ]
    kept.commit(steps)
    with pytest.raises(Conflict, match="this machine already has a node of this owner"):
        kept.commit([Put(replace(tagged, id=4, stable_id="n4", name="box-4", node_key=NodeKey(digest("x"))))])
    assert len(contents(kept).nodes) == 3


def test_local_users_share_an_empty_identity(kept: SqliteStore) -> None:
    kept.commit([Put(user(1)), Put(user(2))])
    assert len(contents(kept).users) == 2


def test_ids_never_come_back(kept: SqliteStore) -> None:
    kept.commit([Put(user(1))])
    assert kept.new_id("user") == 2
    first, second = kept.new_id("node"), kept.new_id("node")
    assert (first, second) == (1, 2)
    kept.commit([Put(node(first)), Put(node(second))])
    kept.commit([Delete("node", second), Delete("node", first)])
    reopened = again(kept)
    assert reopened.new_id("node") == 3
    # An imported value with a chosen id moves the counter along.
    reopened.commit([Put(node(40))])
    assert reopened.new_id("node") == 41
    reopened.commit([Delete("node", 40)])
    last = again(reopened)
    assert last.new_id("node") == 41
    last.close()


def test_reports_of_unknown_nodes_are_skipped_and_go_with_their_node(kept: SqliteStore) -> None:
    kept.commit([Put(user(1)), Put(node(1)), Put(node(2))])
    kept.flush({1: report(1), 2: report(2), 3: report(3)})
    assert set(contents(kept).reports) == {1, 2}
    kept.flush({1: report(9)})
    kept.commit([Delete("node", 2)])
    assert contents(kept).reports == {1: report(9)}


def test_renewing_a_node_keeps_its_report(kept: SqliteStore) -> None:
    kept.commit([Put(user(1)), Put(node(1))])
    kept.flush({1: report(1)})
    kept.commit([Put(node(1, name="other"))])
    assert contents(kept).reports == {1: report(1)}


def test_check_writes_and_notices_a_replaced_file(kept: SqliteStore, path: Path) -> None:
    before = contents(kept)
    kept.check()
    assert contents(kept) == before
    path.rename(path.with_name("moved"))
    with pytest.raises(StoreBroken):
        kept.check()
    path.write_bytes(b"other")
    with pytest.raises(StoreBroken, match="replaced while in use"):
        kept.check()
    path.unlink()
