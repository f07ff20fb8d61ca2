"""A failing disk under the store: every write fails once, fails for good, tears, or is the last.

After each: what was acknowledged is there, what was refused is not, nothing is half there, and
the store works again as soon as the disk does.
"""

from __future__ import annotations

import errno
import os
import random
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from meshbox import store
from meshbox.errors import StoreError, StoreFull
from meshbox.store.store import SqliteStore
from meshbox.tailnet.ports import Put
from tests.hostile.child import in_child
from tests.hostile.disk import Disk, Fault
from tests.hostile.life import STEPS, begin, register, states
from tests.store.samples import START, auth_key, node, user

pytestmark = pytest.mark.slow

DISK_FULL = Fault(errno=errno.ENOSPC, lasts=True)
DISK_FULL_IN_A_WRITE = Fault(errno=errno.ENOSPC, lasts=True, torn=True)
ONE_BAD_SECTOR = Fault(errno=errno.EIO)
READ_ONLY_FROM_NOW = Fault(errno=errno.EROFS, lasts=True)


@pytest.fixture
def disk_path() -> Iterator[Path]:
    """A directory in memory where there is one: thousands of stores are opened, and what fsync does
    is not asked here."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield Path(directory)


@cache
def writes_of_a_life(directory: Path) -> int:
    """How many writes a life takes when nothing fails."""
    with Disk() as disk:
        kept = begin(directory / "mesh.sqlite")
        for step in STEPS:
            step(kept)
        kept.close()
    return disk.writes


@pytest.mark.parametrize("fault", [DISK_FULL, DISK_FULL_IN_A_WRITE, ONE_BAD_SECTOR, READ_ONLY_FROM_NOW])
def test_no_failing_write_loses_or_halves_a_fact(fault: Fault, disk_path: Path) -> None:
    total = writes_of_a_life(disk_path)
    assert total > 100
    refusals = 0
    for at in range(1, total + 1):
        with Disk(replace(fault, at=at)) as disk:
            refusals += live(disk, disk_path / f"{at}.sqlite")
    # Failed checkpoints refuse nothing; most other writes belong to somebody who must hear of it.
    assert refusals > total // 3


def live(disk: Disk, path: Path) -> int:
    """Live the life on a failing disk; returns how often it refused something."""
    refusals = 0
    try:
        kept = begin(path)
    except StoreError:
        refusals += 1
        disk.heal()
        kept = begin(path)
    for number, step in enumerate(STEPS):
        refusals += take(kept, step, number, disk)
        assert kept.load() == states()[number + 1]
    kept.close()
    disk.heal()
    reopened = store.open(path, START)
    assert reopened.load() == states()[-1]
    reopened.close()
    return refusals


def take(kept: SqliteStore, step: Callable[[SqliteStore], object], number: int, disk: Disk) -> int:
    try:
        step(kept)
        return 0
    except StoreFull:
        assert kept.load() == states()[number], "a refused step left something behind"
    if disk.fault.lasts:
        for again in (step, SqliteStore.check):
            with pytest.raises(StoreFull):
                again(kept)
        assert kept.load() == states()[number], "reads must go on while nothing can be written"
    disk.heal()
    kept.check()
    step(kept)
    return 1


@pytest.mark.parametrize("torn", [False, True])
def test_death_at_any_write_keeps_what_was_acknowledged(torn: bool, disk_path: Path) -> None:
    total = writes_of_a_life(disk_path)
    for at in range(1, total + 1):
        path = disk_path / f"{at}.sqlite"
        acknowledged = die_at(Fault(at=at, torn=torn, kills=True), path)
        kept = store.open(path, START)
        assert kept.load() in states()[acknowledged : acknowledged + 2]
        kept.close()


def die_at(fault: Fault, path: Path) -> int:
    """Live in a child process that the fault kills; returns how many steps it acknowledged."""

    def child(say: Callable[[bytes], object]) -> None:
        with Disk(fault):
            kept = begin(path)
            for step in STEPS:
                step(kept)
                say(b".")
            kept.close()

    return len(in_child(child))


def test_kill_at_any_moment_keeps_every_acknowledged_registration(disk_path: Path) -> None:
    path = disk_path / "mesh.sqlite"
    kept = store.open(path, START)
    kept.commit([Put(user(1))])
    kept.close()
    acknowledged: set[int] = set()

    def work(say: Callable[[bytes], object]) -> None:
        kept = store.open(path, START)
        while True:
            number = kept.new_id("node")
            kept.commit([Put(auth_key(number))])
            register(number)(kept)
            say(b"%d\n" % number)

    dice = random.Random(1)
    kills = 0
    # A busy machine acknowledges little in a moment: then it is killed more often.
    while kills < 25 or len(acknowledged) <= 100:
        kills += 1
        assert kills < 1000
        acknowledged |= {int(line) for line in in_child(work, dice.uniform(0.02, 0.15)).split()}
        kept = store.open(path, START)
        saved = kept.load()
        there = {one.id for one in saved.nodes}
        spent = {key.id for key in saved.auth_keys if key.used_at is not None}
        assert acknowledged <= there
        assert there == spent, "a node without its spent key, or a spent key without its node"
        assert all(one == node(one.id, auth_key_id=one.id) for one in saved.nodes)
        kept.close()


def test_quota_of_the_file_system_is_a_clear_refusal(disk_path: Path) -> None:
    """RLIMIT_FSIZE makes the kernel itself refuse to let a file grow."""

    def work(say: Callable[[bytes], object]) -> None:
        kept = store.open(disk_path / "mesh.sqlite", START)
        kept.commit([Put(user(1))])
        size = kept.path.with_name("mesh.sqlite-wal").stat().st_size
        for limit in range(size, size + 60_000, 997):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            before = kept.load()
            try:
                kept.commit([Put(node(number)) for number in range(1, 60)])
            except StoreFull:
                assert kept.load() == before
                say(b"r")
            else:
                say(b"w")
                break
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        kept.commit([Put(node(number)) for number in range(1, 60)])
        kept.close()

    said = in_child(work)
    assert said.count(b"r") > 10
    kept = store.open(disk_path / "mesh.sqlite", START)
    assert len(kept.load().nodes) == 59
    kept.close()
