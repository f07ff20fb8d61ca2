"""The process that answers a question about a policy: one question on standard input, its answer on standard
output, both pickled by the same meshbox. `python -m meshbox.serve.checkmain`, started by serve/checker.py.

It gives way to the server (nice, first to go when memory ends) and cannot outlive its limits.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import sys
from pathlib import Path

from meshbox import __version__
from meshbox.errors import MeshboxError
from meshbox.policy.questions import answer

NICE = 10
CPU_SECONDS = 40
MEMORY = 1 << 30
"""Bytes of address space. A check of ten thousand devices takes 64 MiB, a comparison 100; comparing sixteen
thousand rules that each reach all of them would take more than this."""
OTHER_VERSION = 3
"""Exit status when the server is of another version than the files on disk, as after an upgrade."""


def main() -> int:
    if sys.argv[1:] != [__version__]:
        return OTHER_VERSION
    _give_way()
    question, world = pickle.load(sys.stdin.buffer)
    try:
        found: object = answer(question, world)
    except MeshboxError as error:
        found = error
    pickle.dump(found, sys.stdout.buffer, protocol=5)
    return 0


def _give_way() -> None:
    # A sandbox may forbid it (setpriority is one of systemd's @resources); the limits below still hold.
    with contextlib.suppress(PermissionError):
        os.nice(NICE)
    # At the first limit a signal of its own tells why; at the second it would be a plain kill.
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS + 5))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")


if __name__ == "__main__":
    sys.exit(main())
