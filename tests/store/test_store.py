"""The store as the tailnet uses it: commit, flush, load, ids, generations, refusals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from meshbox import store
from meshbox.errors import Conflict, StoreBroken
from meshbox.store import journal
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import ApiKey, Audit, AuthKey, Node, User
from meshbox.tailnet.ports import Committed, Delete, Put, Saved, Spend, Step
from meshbox.wire.keys import MachineKey, NodeKey
from tests.store.samples import START, api_key, auth_key, digest, node, report, user


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "mesh.sqlite"


@pytest.fixture
def kept(path: Path) -> Iterator[SqliteStore]:
    opened = store.open(path, START)
    yield opened
    opened.close()


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
    before = contents(kept)
    with pytest.raises(Conflict) as caught:
        kept.commit([Put(user(5)), *steps])
    assert str(caught.value).startswith(sentence)
    assert contents(kept) == before


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


def test_since_gives_the_batches_back_in_order(kept: SqliteStore) -> None:
    batches: list[list[Step]] = [
        [Put(user(1)), Audit(START, "cli", "user.create", "user1", "detail é")],
        [Put(auth_key(1)), Put(api_key(1, last_used_at=START)), Spend(1, START)],
        [Put(node(1, approved_routes=(ip_network("10.0.0.0/8"),))), Put(node(2, ipv4=None))],
        [Delete("node", 2)],
    ]
    generations = [kept.commit(batch) for batch in batches]
    assert generations == [1, 2, 3, 4]
    expected = [Committed(g, tuple(batch)) for g, batch in zip(generations, batches, strict=True)]
    reopened = again(kept)
    assert reopened.since(0) == expected
    assert reopened.since(2) == expected[2:]
    assert reopened.since(4) == []
    assert reopened.load().generation == 4
    reopened.close()


def test_changes_are_bounded_and_a_gap_is_told(kept: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "CHANGES_KEPT", 50)
    monkeypatch.setattr(journal, "TRIM_EVERY", 10)
    total = 50 + 2 * 10 + 1
    for _ in range(total):
        kept.commit([Put(user(1))])
    oldest = total - 1 - 50
    assert len(kept.since(oldest)) == 51
    with pytest.raises(StoreBroken, match="load the database again"):
        kept.since(oldest - 1)
    reopened = again(kept)
    assert reopened.commit([Put(user(1))]) == total + 1
    reopened.close()


def test_hard_facts_are_synced_and_soft_ones_are_not(kept: SqliteStore) -> None:
    raw = kept._connection.raw
    modes: list[int] = []
    raw.set_trace_callback(
        lambda sql: modes.append(raw.execute("PRAGMA synchronous").fetchone()[0]) if sql == "COMMIT" else None
    )
    kept.commit([Put(user(1))])
    kept.flush({1: report(1)})
    with pytest.raises(Conflict):
        kept.commit([Delete("user", 7)])
    kept.commit([Put(user(2))])
    full, normal = 2, 1
    assert modes == [full, normal, full]


def test_a_second_server_is_told_who_holds_the_file(kept: SqliteStore, path: Path) -> None:
    with pytest.raises(StoreBroken, match=r"in use by another meshbox .process [0-9]+"):
        store.open(path, START)
    kept.commit([Put(user(1))])
    again(kept).close()


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
