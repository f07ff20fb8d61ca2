"""What the service manager is told: ready, reloading, stopping, a status line, still alive.

The protocol of sd_notify(3): one datagram of VARIABLE=value lines to $NOTIFY_SOCKET. Without the
variable nothing is sent, so the server runs the same in a terminal. Nothing here blocks and a
deaf manager is no error.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping


class ServiceManager:
    """`env` is the process's environment. `watchdog_interval` is how often `alive` should be called,
    in seconds (half of what the unit's WatchdogSec allows), or None when nobody waits for it."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._address = _socket_address(env.get("NOTIFY_SOCKET", ""))
        self.watchdog_interval = _watchdog_interval(env)

    def ready(self, status: str = "") -> None:
        """The server answers (after start, and after a reload)."""
        self._send("READY=1", _status(status))

    def reloading(self) -> None:
        """A reload begins; say `ready` at its end. systemd (Type=notify-reload) compares the time
        with its own to know that this answers its signal."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`."""
        self._send(_status(text))

    def alive(self) -> None:
        """Feed the watchdog. Call it from the event loop, and only after the store answered."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if not self._address:
            return
        message = "\n".join(line for line in lines if line).encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(message, self._address)


def _socket_address(path: str) -> str:
    """A path, or "@name" for a socket in the abstract name space; anything else is not ours."""
    if path.startswith("@"):
        return "\0" + path[1:]
    return path if path.startswith("/") else ""


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}" if text else ""


def _watchdog_interval(env: Mapping[str, str]) -> float | None:
    # A child inherits the variables; WATCHDOG_PID says whom they are meant for.
    if env.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    micros = env.get("WATCHDOG_USEC", "")
    if not (micros.isascii() and micros.isdecimal()) or int(micros) == 0:
        return None
    return int(micros) / 2_000_000
