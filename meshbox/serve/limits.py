"""What the system grants this process."""

from __future__ import annotations

import contextlib
import resource


def raise_descriptor_limit() -> None:
    """Every node is a descriptor; the soft limit is often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
