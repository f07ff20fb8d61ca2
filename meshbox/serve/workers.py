"""One relay on several cores: processes that share its sockets and its identity.

Everything that must be one is made before the processes part: the listening sockets, the sockets between each
two workers. Worker 0 is the process the service manager knows; it has STUN, the local socket and the way
to control. The others end when it ends, and it ends when one of them does.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

BUFFER_BYTES = 1024 * 1024
"""Of the sockets between workers, as far as the system allows it."""


@dataclass(slots=True)
class Crew:
    """One worker's place: its number, its ways to the others; worker 0 also knows their processes."""

    number: int = 0
    ways: list[socket.socket] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    @property
    def is_first(self) -> bool:
        return self.number == 0

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the other workers."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def wait(self) -> None:
        """Until the other workers have ended."""
        for pid in self.pids:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
        self.pids.clear()


def part(count: int, work: Callable[[Crew], None]) -> Crew:
    """Start the other workers; each runs `work` and ends with it. Gives worker 0's crew."""
    pairs = {
        (one, other): _pair() for one in range(count) for other in range(one + 1, count)
    }  # (lower, higher) -> (end of the lower, end of the higher)
    pids: list[int] = []
    for number in range(1, count):
        pid = os.fork()
        if not pid:
            _work(Crew(number, _ways_of(number, pairs)), work)
        pids.append(pid)
    return Crew(0, _ways_of(0, pairs), pids)


def _work(crew: Crew, work: Callable[[Crew], None]) -> None:
    """In a new process, which never comes back from here."""
    code = 1
    try:
        work(crew)
        code = 0
    finally:
        os._exit(code)


def _pair() -> tuple[socket.socket, socket.socket]:
    pair = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    for end in pair:
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            end.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
    return pair


def _ways_of(
    number: int, pairs: dict[tuple[int, int], tuple[socket.socket, socket.socket]]
) -> list[socket.socket]:
    """This worker's ends; those of others are closed here, or their end of stream would never be seen."""
    ways = []
    for (one, other), (lower, higher) in pairs.items():
        if number == one:
            ways.append(lower)
            higher.close()
        elif number == other:
            ways.append(higher)
            lower.close()
        else:
            lower.close()
            higher.close()
    return ways
