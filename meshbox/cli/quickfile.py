"""The configuration that `meshbox quickstart` writes, and may change while nobody else has."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from meshbox.cli.reach import Reach
from meshbox.config import load
from meshbox.errors import Conflict, Invalid

SOCKET_PATH_LIMIT = 107
"""Bytes a unix socket's path may have."""

TEXT = """\
# Written by `meshbox quickstart`. It is yours to change: `meshbox config sample` explains every key.
# Relative paths begin in the directory of this file.

server_url: http://{host}:{port}
listen_addr: "{everywhere}:{port}"
metrics_listen_addr: ""
unix_socket: api.sock
unix_socket_permission: "0700"
state_dir: .

derp:
  server:
    # The relay speaks TLS with a certificate it makes itself; clients are told which one to expect.
    listen_addr: "{everywhere}:{relay_port}"
    stun_listen_addr: "{everywhere}:{stun_port}"
    {family}: "{address}"
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for; None leaves it as it is, or to the default."""

    address: str | None = None
    port: int | None = None
    relay_port: int | None = None
    stun_port: int | None = None

    @property
    def is_empty(self) -> bool:
        return self == Wish()

    def over(self, known: Wish) -> Wish:
        """This wish, completed by what is known."""
        given = {name: getattr(self, name) for name in self.__slots__ if getattr(self, name) is not None}
        return replace(known, **given)


def settle(file: Path, wish: Wish, defaults: Wish) -> bool:
    """Write the file when there is none, or when the wish wants something else than what we wrote there
    before. True when it was written. Raises Conflict when somebody else has edited it, Invalid."""
    if wish.address is not None:
        _check_address(wish.address)
    try:
        present = file.read_text()
    except FileNotFoundError:
        _write(file, text_of(wish.over(defaults)))
        return True
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{file} cannot be read: {error}") from None
    if wish.is_empty:
        return False
    known = _read_back(file)
    wanted = text_of(wish.over(known))
    if wanted == present:
        return False
    if text_of(known) != present:
        raise Conflict(f"{file} was edited, so its address and ports are changed there and not by options")
    _write(file, wanted)
    return True


def text_of(wish: Wish) -> str:
    reach = Reach(wish.address or "127.0.0.1")
    return TEXT.format(
        host=reach.in_url,
        address=reach.address,
        everywhere=reach.everywhere,
        family="ipv6" if ":" in reach.address else "ipv4",
        port=wish.port,
        relay_port=wish.relay_port,
        stun_port=wish.stun_port,
    )


def _read_back(file: Path) -> Wish:
    """What the present file says, as a wish. Raises ConfigError."""
    config = load(file, os.environ)
    server = config.derp.server
    return Wish(
        address=urlsplit(config.server_url).hostname,
        port=config.listen_addr.port,
        relay_port=server.listen_addr.port if server.listen_addr else None,
        stun_port=server.stun_listen_addr.port,
    )


def _check_address(address: str) -> None:
    try:
        ip_address(address)
    except ValueError:
        raise Invalid(
            f"--address: {address!r} is no IP address; for a name, set server_url in the configuration file"
        ) from None


def _write(file: Path, text: str) -> None:
    directory = file.parent
    if len(os.fsencode(directory / "api.sock")) > SOCKET_PATH_LIMIT:
        raise Invalid(f"{directory} is too long a path for a socket: choose a shorter --state-dir")
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = file.with_suffix(".new")
        draft.write_text(text)
        draft.replace(file)
    except OSError as error:
        raise Invalid(f"{directory} cannot be used as state directory: {error.strerror}") from None
