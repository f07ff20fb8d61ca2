"""Work in a child process that may die."""

from __future__ import annotations

import os
import signal
import time
import traceback
from collections.abc import Callable

Say = Callable[[bytes], object]


def in_child(work: Callable[[Say], None], kill_after: float | None = None) -> bytes:
    """Fork, run `work(say)` in the child and return all it said. It may be killed (after
    `kill_after` seconds, or by itself); any other failure is one of the test."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read_end)
        status = 1
        try:
            work(lambda text: os.write(write_end, text))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(write_end)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read_end, "rb") as pipe:
        said = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return said
