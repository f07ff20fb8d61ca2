"""A power cut: of the write-ahead log only a part reached the disk, or its end is zeros or noise.

Whatever is left opens to one of the states that were once acknowledged, and to the newest one
whose bytes are all there.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from meshbox import store
from meshbox.errors import StoreBroken
from meshbox.store import contents
from meshbox.store.snapshot import check_pages
from meshbox.tailnet.ports import Saved
from tests.hostile.life import STEPS, states
from tests.store.samples import START

pytestmark = pytest.mark.slow

WAL_HEADER = 32
FRAME = 24 + 4096
EDGE = 16
STRIDE = 1009


@dataclass(frozen=True)
class Crash:
    """What lies on the disk of a server that stopped without closing: `ends[n]` is how long the
    log was when step n was acknowledged."""

    directory: Path
    database: bytes
    log: bytes
    ends: list[int]

    def newest(self, length: int) -> Saved:
        """The state that `length` bytes of the log hold in full."""
        return states()[sum(end <= length for end in self.ends)]

    def read(self, log: bytes) -> Saved:
        """Read the database with this log, as the server would at its next start."""
        path = self.directory / "cut.sqlite"
        path.write_bytes(self.database)
        path.with_name("cut.sqlite-wal").write_bytes(log)
        with closing(sqlite3.connect(path, isolation_level=None)) as raw:
            return contents.read(raw)


@pytest.fixture(scope="module")
def crash() -> Iterator[Crash]:
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        directory = Path(name)
        path = directory / "mesh.sqlite"
        kept = store.open(path, START)
        kept._connection.raw.execute("PRAGMA wal_autocheckpoint = 0")
        kept._connection.fold()
        database = path.read_bytes()
        log = path.with_name("mesh.sqlite-wal")
        ends = []
        for step in STEPS:
            step(kept)
            ends.append(log.stat().st_size)
        yield Crash(directory, database, log.read_bytes(), ends)
        kept.close()


def cuts(crash: Crash) -> list[int]:
    """Every byte of the last frame, every byte around the end of each frame, some within."""
    total = len(crash.log)
    edges = range(WAL_HEADER, total + 1, FRAME)
    near = {cut for edge in edges for cut in range(edge - EDGE, edge + EDGE) if 0 <= cut <= total}
    return sorted(near | set(range(total - FRAME, total + 1)) | set(range(0, total, STRIDE)))


def test_a_log_cut_anywhere_opens_to_the_newest_state_it_holds(crash: Crash) -> None:
    assert crash.ends == sorted(set(crash.ends))
    for cut in cuts(crash):
        assert crash.read(crash.log[:cut]) == crash.newest(cut), f"cut at byte {cut}"


@pytest.mark.parametrize("filler", [b"\0", b"\xff"])
def test_a_log_that_ends_in_unwritten_blocks_opens_to_the_newest_state_it_holds(
    crash: Crash, filler: bytes
) -> None:
    """The file had grown, its data had not arrived."""
    total = len(crash.log)
    for cut in range(0, total, 512 * 7):
        found = crash.read(crash.log[:cut] + filler * (total - cut))
        # A page may end in the very bytes that fill: then more was whole than was written.
        assert found in (crash.newest(cut), crash.newest(min(total, cut + FRAME)))


def test_flipped_bits_in_the_log_never_make_a_new_state(crash: Crash) -> None:
    dice = random.Random(7)
    for _ in range(500):
        place = dice.randrange(len(crash.log))
        log = bytearray(crash.log)
        log[place] ^= 1 << dice.randrange(8)
        assert crash.read(bytes(log)) in states()


def test_a_cut_log_opens_as_a_store_that_goes_on(crash: Crash) -> None:
    """The same through the front door, and work continues from there."""
    total = len(crash.log)
    for number, cut in enumerate([*crash.ends, *(end - 1 for end in crash.ends), 0, total // 2]):
        path = crash.directory / f"{number}" / "mesh.sqlite"
        path.parent.mkdir()
        path.write_bytes(crash.database)
        path.with_name("mesh.sqlite-wal").write_bytes(crash.log[:cut])
        done = states().index(crash.newest(cut))
        kept = store.open(path, START)
        assert kept.load() == states()[done]
        for step in STEPS[done:]:
            step(kept)
        assert kept.load() == states()[-1]
        kept.close()
        with closing(sqlite3.connect(path)) as raw:
            check_pages(raw)
        shutil.rmtree(path.parent)


def test_a_cut_database_file_is_refused(crash: Crash) -> None:
    """Without its log the database was closed, and whole; a shorter one lost pages."""
    path = crash.directory / "short" / "mesh.sqlite"
    path.parent.mkdir()
    for length in range(0, len(crash.database), 1777):
        if not crash.database[length:].strip(b"\0"):
            # The last page is that of an empty table, and zeros are what SQLite reads behind a file's end.
            continue
        path.write_bytes(crash.database[:length])
        with pytest.raises(StoreBroken):
            store.open(path, START)
        assert path.read_bytes() == crash.database[:length]
    assert {file.name for file in path.parent.iterdir()} == {"mesh.sqlite", "mesh.sqlite.lock"}
