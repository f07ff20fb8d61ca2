"""The changes table: batches come back as they were committed, and are bounded."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from meshbox import store
from meshbox.errors import Conflict, StoreBroken
from meshbox.store import journal
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import Audit
from meshbox.tailnet.ports import Committed, Delete, Put, Spend, Step
from tests.store.samples import START, api_key, auth_key, node, user


def again(kept: SqliteStore) -> SqliteStore:
    kept.close()
    return store.open(kept.path, START)


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


def test_a_refused_batch_uses_no_generation_up(kept: SqliteStore) -> None:
    kept.commit([Put(user(1))])
    with pytest.raises(Conflict):
        kept.commit([Delete("node", 9)])
    assert kept.commit([Put(user(2))]) == 2
    assert [batch.generation for batch in kept.since(0)] == [1, 2]
