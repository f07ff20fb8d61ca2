"""`make bench`: without sockets maps, policies and their checks, then a real server. Sizes may be given."""

from __future__ import annotations

import sys

from tests.bench import checks, maps, policy, server


def main() -> None:
    counts = tuple(int(word) for word in sys.argv[1:])
    maps.run(counts or (100, 1000, 10_000))
    policy.run(counts or (1000, 10_000))
    checks.run(counts or (1000, 10_000))
    server.run(counts or (50, 300))


if __name__ == "__main__":
    main()
