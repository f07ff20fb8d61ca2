"""Ports on loopback that nobody else takes.

Port 0 gives one from the range that every outgoing connection draws from too, so another may take it before
the program that shall have it binds it: pebble once did not start in a whole run. These are below that range,
and what is given out stays claimed until the process ends, for the lanes that run beside it as well.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

_LOWEST = 12000
_claims: list[socket.socket] = []
"""Abstract Unix sockets: as ports do, their names belong to the network namespace, and go with it."""


def free_port() -> int:
    """Free for TCP and for UDP, on all addresses."""
    end = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    start = os.getpid() % (end - _LOWEST)
    for step in range(end - _LOWEST):
        port = _LOWEST + (start + step) % (end - _LOWEST)
        if _claim(port) and _is_free(port):
            return port
    raise OSError(f"no free port from {_LOWEST} to {end}")


def _claim(port: int) -> bool:
    name = socket.socket(socket.AF_UNIX)
    with suppress(OSError):
        name.bind(f"\0meshbox-tests-port-{port}")
        _claims.append(name)
        return True
    name.close()
    return False


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("0.0.0.0", port))
            except OSError:
                return False
    return True
