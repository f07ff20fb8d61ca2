"""A short life of a store, step by step, with the state that each step must lead to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from meshbox import store
from meshbox.store.store import SqliteStore
from meshbox.tailnet.model import Audit
from meshbox.tailnet.ports import Delete, Put, Saved, Spend
from tests.store.samples import START, auth_key, node, report, user

LifeStep = Callable[[SqliteStore], object]

CHECKPOINT_PAGES = 8
"""So small that the write-ahead log is folded into the database every few steps."""


def register(number: int) -> LifeStep:
    """What a node's first login commits."""
    return lambda kept: kept.commit(
        [
            Spend(number, START),
            Put(node(number, auth_key_id=number)),
            Audit(START, f"key:prefix{number}", "node.join", f"box-{number}"),
        ]
    )


STEPS: list[LifeStep] = [
    lambda kept: kept.commit([Put(user(1)), Audit(START, "cli", "user.create", "user1")]),
    lambda kept: kept.commit([Put(auth_key(number)) for number in range(1, 6)]),
    register(1),
    register(2),
    lambda kept: kept.flush({number: report(number) for number in (1, 2)}),
    register(3),
    lambda kept: kept.commit([Put(node(1, name="renamed")), Audit(START, "cli", "node.rename", "renamed")]),
    lambda kept: kept.flush({number: report(number, hostinfo=b"{}" * 3000) for number in (1, 2, 3)}),
    lambda kept: kept.commit([Delete("node", 2), Audit(START, "cli", "node.delete", "box-2")]),
    register(4),
    lambda kept: kept.commit([Put(node(number)) for number in range(100, 140)]),
    register(5),
]


def begin(path: Path) -> SqliteStore:
    kept = store.open(path, START)
    kept._connection.raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    return kept


@cache
def states() -> list[Saved]:
    """`states()[n]` is what a store holds after n steps."""
    with tempfile.TemporaryDirectory() as directory:
        kept = begin(Path(directory) / "mesh.sqlite")
        found = [kept.load()]
        for step in STEPS:
            step(kept)
            found.append(kept.load())
        kept.close()
        return found
