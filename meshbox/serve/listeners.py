"""The sockets: made here, or inherited from the service manager; every failure is one clear sentence.

Options are set on the listening socket, from which accepted ones inherit them: no system call per
connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from meshbox.config import Address
from meshbox.errors import ListenError

BACKLOG = 512
"""Connections the kernel holds for us while the loop is busy: a site that comes back at once."""

ACCEPTED_AT_ONCE = 64
"""Connections taken in one turn of the event loop. asyncio tries this often even when the process is out of
descriptors, and complains each time: with all of the backlog that was a third of a core (Python 3.11)."""

FIRST_INHERITED = 3

USER_TIMEOUT_MS = 30_000
KEEP_IDLE, KEEP_INTERVAL, KEEP_COUNT = 45, 10, 3
"""A pulled cable says nothing. Unanswered data ends a connection after 30 s; without data, probes
after 45 s end it after 75: its node is offline for its peers within 90 s."""

_TCP_OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_IDLE),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_INTERVAL),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEP_COUNT),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS),
)


class Inherited:
    """Sockets that the service manager opened for us (LISTEN_FDS), so that a restart refuses nobody. They
    are known by their FileDescriptorName (LISTEN_FDNAMES) or by what they are bound to."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._sockets: list[socket.socket] = []
        self._names: dict[socket.socket, str] = {}
        count = env.get("LISTEN_FDS", "")
        names = env.get("LISTEN_FDNAMES", "").split(":")
        if env.get("LISTEN_PID", "") == str(os.getpid()) and count.isdigit():
            for place in range(int(count)):
                inherited = socket.socket(fileno=FIRST_INHERITED + place)
                # Children that we start must not hold them open.
                inherited.set_inheritable(False)
                self._sockets.append(inherited)
                self._names[inherited] = names[place] if place < len(names) else ""

    def put(self, name: str, sockets: list[socket.socket]) -> None:
        """Hold sockets that were opened here as if they had been inherited under that name."""
        self._sockets += sockets
        self._names |= dict.fromkeys(sockets, name)

    def take_named(self, name: str) -> list[socket.socket]:
        """All inherited sockets of that name, in the order of the unit."""
        found = [inherited for inherited in self._sockets if self._names[inherited] == name]
        for inherited in found:
            self._sockets.remove(inherited)
        return found

    def take(self, kind: socket.SocketKind, name: tuple[str, int] | str) -> socket.socket | None:
        """The inherited socket of this kind bound to (host, port) or to a path, if there is one."""
        for inherited in self._sockets:
            bound = inherited.getsockname()
            found = bound[:2] if isinstance(bound, tuple) else bound
            same_port = isinstance(name, tuple) and isinstance(found, tuple) and found[1] == name[1]
            any_host = same_port and found[0] in ("::", "0.0.0.0") and name[0] in ("", "::", "0.0.0.0")
            if inherited.type == kind and (found == name or any_host):
                self._sockets.remove(inherited)
                return inherited
        return None


def listen_tcp(address: Address, key: str, inherited: Inherited) -> socket.socket:
    """A TCP socket for the configuration key's address, with our options. Raises ListenError."""
    sock = inherited.take(socket.SOCK_STREAM, (address.host, address.port)) or _bind(
        address, key, socket.SOCK_STREAM
    )
    tune_tcp(sock)
    return sock


def tune_tcp(sock: socket.socket) -> None:
    """Set our options on a listening TCP socket."""
    for level, option, value in _TCP_OPTIONS:
        sock.setsockopt(level, option, value)


def listen_udp(address: Address, key: str, inherited: Inherited) -> socket.socket:
    return inherited.take(socket.SOCK_DGRAM, (address.host, address.port)) or _bind(
        address, key, socket.SOCK_DGRAM
    )


def listen_unix(
    path: Path,
    mode: int,
    inherited: Inherited,
    key: str = "unix_socket",
    kind: socket.SocketKind = socket.SOCK_STREAM,
) -> socket.socket:
    """The socket for administration. What is left of a dead server is replaced, a live one is not.

    The mode is set before anybody can connect. Raises ListenError.
    """
    taken = inherited.take(kind, str(path))
    if taken is not None:
        return taken
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(path, key, kind)
        sock.bind(str(path))
        path.chmod(mode)
    except OSError as error:
        sock.close()
        raise ListenError(f"cannot listen on {key} {path}: {_reason(error)}") from None
    except ListenError:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path, key: str, socket_kind: socket.SocketKind) -> None:
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ListenError(f"{key} {path} exists and is no socket: move it away or configure another path")
    with socket.socket(socket.AF_UNIX, socket_kind) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ListenError(f"another meshbox answers on {key} {path}: stop it, or give this one another {key}")


def _bind(address: Address, key: str, kind: socket.SocketKind) -> socket.socket:
    family, name = _resolve(address, key, kind)
    try:
        sock = socket.socket(family, kind)
    except OSError as error:
        raise ListenError(f"cannot listen on {address} ({key}): {_reason(error)}") from None
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # "[::]" and "" mean both families; a literal address means itself.
            only_v6 = name[0] not in ("", "::")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only_v6)
        sock.bind(name)
    except OSError as error:
        sock.close()
        raise ListenError(f"cannot listen on {address} ({key}): {_reason(error)}") from None
    return sock


def _resolve(address: Address, key: str, kind: socket.SocketKind) -> tuple[int, tuple[str, int]]:
    if not address.host:
        family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        return family, ("::" if family == socket.AF_INET6 else "0.0.0.0", address.port)
    try:
        found = socket.getaddrinfo(address.host, address.port, type=kind, flags=socket.AI_PASSIVE)
    except OSError:
        raise ListenError(
            f"cannot listen on {address} ({key}): {address.host!r} is no address of this machine"
        ) from None
    family, _, _, _, name = found[0]
    return family, (str(name[0]), int(name[1]))


def _reason(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "the port is taken by another program: stop that one (ss -lptn shows it) or choose another"
        case errno.EACCES | errno.EPERM:
            return "no permission: ports below 1024 need CAP_NET_BIND_SERVICE, a socket a writable directory"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address"
        case _:
            return error.strerror or str(error)


async def serve_on(
    listener: socket.socket, factory: Callable[[], asyncio.BaseProtocol], at_once: int = ACCEPTED_AT_ONCE
) -> asyncio.Server:
    """Accept on a listening socket, with as long a queue in the kernel as ever."""
    server = await asyncio.get_running_loop().create_server(factory, sock=listener, backlog=at_once)
    listener.listen(BACKLOG)
    return server


async def stop_serving(servers: Collection[asyncio.Server]) -> None:
    """Take no more connections, and keep those that were taken.

    A server that is closed at once resets whom it accepted in the turn before: the connection's own task has
    not run yet, and then finds its server closed. Those who wait in the kernel's queue are left to whoever
    inherits the socket.
    """
    loop = asyncio.get_running_loop()
    for server in servers:
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
    await asyncio.sleep(0)
    for server in servers:
        server.close()
