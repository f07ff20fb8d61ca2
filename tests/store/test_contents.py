"""Reading everything: in order, whole, and refusing what no meshbox wrote."""

from __future__ import annotations

import sqlite3

import pytest

from meshbox.errors import StoreBroken
from meshbox.store import contents
from meshbox.store.store import SqliteStore
from meshbox.tailnet.ports import Put, Saved
from tests.store.samples import api_key, auth_key, node, notice, policy, report, user


@pytest.fixture
def filled(kept: SqliteStore) -> SqliteStore:
    kept.commit([Put(user(2)), Put(user(1)), Put(auth_key(1)), Put(api_key(1)), Put(node(7)), Put(node(3))])
    kept.commit([Put(policy(1)), Put(policy(2)), Put(notice(2)), Put(notice(1))])
    kept.flush({7: report(7), 3: report(3)})
    return kept


def test_everything_is_read_in_the_order_of_ids(filled: SqliteStore) -> None:
    with filled._connection.reading() as raw:
        assert contents.read(raw) == Saved(
            2,
            [user(1), user(2)],
            [node(3), node(7)],
            {3: report(3), 7: report(7)},
            [auth_key(1)],
            [api_key(1)],
            policy(2),
            (notice(1), notice(2)),
        )


def test_the_history_of_the_policy_is_read_without_the_texts(filled: SqliteStore) -> None:
    newest, first = filled.policy_versions(9)
    assert (newest.id, newest.actor, newest.note, newest.size) == (
        2,
        "local:ana",
        "note 2",
        len(policy(2).text),
    )
    assert first.id == 1 and filled.policy_versions(1) == [newest]
    assert filled.policy_version(1) == policy(1)
    assert filled.policy_version(3) is None


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE nodes SET ipv4 = '100.64.0.999' WHERE id = 3",
        "UPDATE nodes SET ipv6 = '' WHERE id = 3",
        "UPDATE nodes SET approved_routes = '[\"10.0.0.1/8\"]' WHERE id = 3",
        "UPDATE auth_keys SET tags = '{'",
        "UPDATE reports SET endpoints = '1'",
    ],
)
def test_a_value_no_meshbox_wrote_is_refused(filled: SqliteStore, sql: str) -> None:
    with filled._connection.writing() as raw:
        raw.execute(sql)
    with pytest.raises(StoreBroken, match="holds a value that cannot be read"):
        filled.load()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE nodes SET node_key = x'00'",
        "UPDATE nodes SET name = x'00ff'",
        "UPDATE nodes SET created_at = 'soon'",
        "UPDATE nodes SET ephemeral = 2",
        "UPDATE nodes SET hostname = NULL",
        "UPDATE reports SET disco_key = x'00'",
        "UPDATE policies SET text = ''",
        "DELETE FROM policies",
    ],
)
def test_the_schema_itself_refuses_most(filled: SqliteStore, sql: str) -> None:
    with (
        pytest.raises(
            sqlite3.IntegrityError, match=r"constraint failed|cannot store|is never rewritten|is kept"
        ),
        filled._connection.writing() as raw,
    ):
        raw.execute(sql)
