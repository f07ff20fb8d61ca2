"""What systemd does for a service with socket units: hold the sockets, start the service, start it again.

    python -m tests.fake.manager derp=tcp:127.0.0.1:8443 derp-control=unix:/tmp/derp.sock -- COMMAND

SIGHUP restarts the service (SIGTERM, then a new process), SIGTERM ends it and the manager. A service that
ends by itself is started again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

FIRST = 3


def opened(what: str) -> socket.socket:
    kind, _, place = what.partition(":")
    if kind == "unix":
        Path(place).unlink(missing_ok=True)
        local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        local.bind(place)
        local.listen(64)
        return local
    host, _, port = place.rpartition(":")
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, int(port)))
    if kind == "tcp":
        sock.listen(4096)
    return sock


class Service:
    def __init__(self, sockets: dict[str, socket.socket], argv: list[str]) -> None:
        self.sockets = sockets
        self.argv = argv
        self.child = 0
        self.ends = False

    def start(self) -> None:
        self.child = os.fork()
        if self.child:
            return
        # Out of the way first: one of them may be where another has to be.
        held = [os.dup(sock.fileno()) for sock in self.sockets.values()]
        spare = [os.dup2(number, 100 + place) for place, number in enumerate(held)]
        for place, number in enumerate(spare):
            os.dup2(number, FIRST + place, inheritable=True)
        told = {
            "LISTEN_PID": str(os.getpid()),
            "LISTEN_FDS": str(len(held)),
            "LISTEN_FDNAMES": ":".join(self.sockets),
        }
        os.execvpe(self.argv[0], self.argv, {**os.environ, **told})

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        self.ends = number == signal.SIGTERM
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGTERM)

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self.on_signal)
        while not self.ends:
            self.start()
            os.waitpid(self.child, 0)


def main() -> None:
    words = sys.argv[1:]
    border = words.index("--")
    pairs = [word.partition("=")[::2] for word in words[:border]]
    Service({name: opened(what) for name, what in pairs}, words[border + 1 :]).run()


if __name__ == "__main__":
    main()
