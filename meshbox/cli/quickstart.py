"""`meshbox quickstart`: from nothing to the line that joins a first device, in one command.

The first time it writes a configuration into a directory of its own; from then on it serves what stands
there, and whatever joined stays. The server runs in this process; once it listens, its own API
is asked for the first user and a key, as an administrator would.
"""

from __future__ import annotations

import os
import sys
import threading
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

import click

from meshbox.cli.client import local
from meshbox.cli.firstkey import KEY_LIFE, first_key
from meshbox.cli.group import Leaf
from meshbox.cli.options import Options
from meshbox.cli.output import say
from meshbox.cli.quickfile import Wish, settle
from meshbox.cli.reach import is_ours, own_address
from meshbox.config import Config, load
from meshbox.errors import Conflict, MeshboxError

PORTS = {"port": 8080, "relay_port": 8443, "stun_port": 3478}

WELCOME = """
meshbox runs at {url}

On each device, with the official client installed, type (as root, where there is one):

    tailscale up --login-server {url} --auth-key {key}

The key lets in any number of devices of user {user} for {life}. Keys are kept hashed and cannot be shown
again, so each start makes a fresh one; older ones go on until they expire.

    who is here              {program} nodes list
    another key              {program} preauthkeys create --user {user}
    who waits without one    {program} auth list
    everything else          {program} --help

Everything is kept in {directory}. Ctrl-C stops the server; the same command starts it again.
"""

port_type = click.IntRange(1, 65_535)


@click.command(cls=Leaf)
@click.option("--state-dir", type=click.Path(path_type=Path), metavar="DIR", help="Where everything is kept.")
@click.option("--address", metavar="IP", help="Address under which devices reach this machine.")
@click.option("--port", type=port_type, metavar="PORT", help="Port for clients (TCP, 8080).")
@click.option("--relay-port", type=port_type, metavar="PORT", help="Port of the relay (TCP, 8443).")
@click.option("--stun-port", type=port_type, metavar="PORT", help="Port of STUN (UDP, 3478).")
@click.pass_obj
def quickstart(options: Options, /, state_dir: Path | None, **wishes: str | int | None) -> None:
    """Start a server at once and show how to join it.

    Address and ports are kept in config.yaml in the state directory, together with everything else.
    """
    directory = (state_dir or default_directory()).absolute()
    file = directory / "config.yaml"
    wish = Wish(**wishes)  # type: ignore[arg-type]  # click has checked their kinds
    if settle(file, wish, Wish(address=own_address().address, **PORTS)):
        say(options, f"wrote {file}")
    config = load(file, os.environ)
    _refuse_second(config)
    for warning in warnings(config):
        say(options, f"warning: {warning}")
    from meshbox.serve import app

    app.run(config, file, threading.Thread(target=_welcome, args=(config, file), daemon=True).start)
    say(options, f"stopped; everything is kept in {directory}")


def default_directory() -> Path:
    """Of the person who runs it: `make run` needs no root."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "meshbox"


def warnings(config: Config) -> list[str]:
    """What will keep devices from getting here, as sentences."""
    parts = urlsplit(config.server_url)
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        return []
    if address.is_loopback:
        return [
            f"{address} can be reached from this machine only, and no other address was found; give one with "
            "--address"
        ]
    found = []
    if not is_ours(str(address)):
        found.append(
            f"no interface of this machine has {address}, under which devices look for it. That is fine "
            f"behind a router that forwards to it; otherwise start with --address {own_address().address}"
        )
    if parts.scheme == "http" and address.is_global:
        found.append(
            f"{address} is public and this is plain http. Official clients insist on https when they "
            "reconnect within two minutes, and then fail. For more than a first try, get a certificate: set "
            "tls_cert_path, tls_key_path and an https server_url"
        )
    return found


def _refuse_second(config: Config) -> None:
    """Without this the key of the welcome would be made by the server that already runs."""
    try:
        local(config.unix_socket, 2.0).get("health")
    except MeshboxError:
        return
    raise Conflict(f"a server already runs from {config.state_dir}: stop it first, or give --state-dir")


def _welcome(config: Config, file: Path) -> None:
    try:
        user, key = first_key(local(config.unix_socket))
    except MeshboxError as error:
        print(f"meshbox: the server runs, but no key could be made: {error}", file=sys.stderr, flush=True)
        return
    text = WELCOME.format(
        url=config.server_url,
        key=key,
        user=user,
        life=KEY_LIFE,
        program=f"{program()} -c {file}",
        directory=file.parent,
    )
    print(text, flush=True)


def program() -> str:
    """How to call this program again: by its name when that is on the path, else in full."""
    installed = Path(sys.executable).with_name("meshbox")
    if any(Path(place) == installed.parent for place in os.get_exec_path()) or not installed.exists():
        return "meshbox"
    return str(installed)
