"""The lock beside the database: one holder, and none after a death."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from meshbox.errors import StoreBroken
from meshbox.store.lock import Lock
from tests.hostile.child import Say, in_child


def test_only_one_holds_it_and_the_other_is_told_whom_to_stop(tmp_path: Path) -> None:
    database = tmp_path / "mesh.sqlite"
    held = Lock(database)
    with pytest.raises(StoreBroken) as caught:
        Lock(database)
    assert f"in use by another meshbox (process {os.getpid()})" in str(caught.value)
    held.release()
    held.release()
    Lock(database).release()


def test_a_killed_holder_does_not_lock_its_successor_out(tmp_path: Path) -> None:
    def hold(say: Say) -> None:
        lock = Lock(tmp_path / "mesh.sqlite")
        say(b"held")
        os.kill(os.getpid(), 9)
        lock.release()

    assert in_child(hold) == b"held"
    Lock(tmp_path / "mesh.sqlite").release()


def test_another_process_is_kept_out_while_it_is_held(tmp_path: Path) -> None:
    held = Lock(tmp_path / "mesh.sqlite")

    def refused(say: Say) -> None:
        try:
            Lock(tmp_path / "mesh.sqlite")
        except StoreBroken as error:
            say(str(error).encode())

    assert b"in use by another meshbox" in in_child(refused)
    held.release()
