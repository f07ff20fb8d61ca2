"""HTTP over a unix socket."""

from __future__ import annotations

import socket
from http.client import HTTPConnection
from pathlib import Path


class SocketConnection(HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("meshbox", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
