"""What a process can read about itself, in the customary names."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from meshbox.serve.metrics import Sample


def process_samples() -> Iterator[Sample]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield Sample("process_cpu_seconds_total", round(usage.ru_utime + usage.ru_stime, 3))
    yield Sample("process_max_fds", resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    yield Sample("process_open_fds", sum(1 for _ in Path("/proc/self/fd").iterdir()))
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    yield Sample("process_resident_memory_bytes", pages * resource.getpagesize())
    yield Sample("process_start_time_seconds", _started_at())
    for generation, stats in enumerate(gc.get_stats()):
        yield Sample("python_gc_collections_total", stats["collections"], (str(generation),))


@lru_cache(maxsize=1)
def _started_at() -> float:
    """By the clocks and not by /proc/stat, which the sandbox of the service hides (ProcSubset=pid)."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return round(time.time() - age, 2)
