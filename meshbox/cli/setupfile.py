"""The drop-in that `meshbox setup` writes: the few things a server cannot know by itself.

Three ways to be reached. With a certificate of an authority or of the administrator's own, everything is
HTTPS on port 443, relay included. Without one, control is plain HTTP on port 80, and the relay speaks TLS on
443 with a certificate it makes itself and that clients are told of.

Where the package meshbox-derp is installed too and control speaks HTTPS, the relay is a process of its own
that outlives restarts of control. Both share port 443: clients ask for the relay by a name of its own, and
control hands these connections over. The name needs no DNS entry, because clients are told its addresses.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal

from meshbox.config import Config, load
from meshbox.errors import Invalid, Refused

FILE = "10-setup.yaml"
HEAD = """\
# Written by `meshbox setup`; to change it, type that again. Settings of your own belong into another file
# here, such as 50-local.yaml, whose keys go before these. Which file set what: meshbox config show --origin
"""

RELAY_FILE = "10-shared.yaml"
"""Its presence tells the units that the relay shares the machine with control."""
RELAY_HEAD = "# Written by `meshbox setup`, with the relay's part in /etc/meshbox/conf.d/10-setup.yaml.\n"
RELAY_SOCKET = "/run/meshbox-derp/derp.sock"
HANDOVER_SOCKET = "/run/meshbox-derp/handover.sock"

Tls = Literal["acme", "files", "none"]


@dataclass(frozen=True, slots=True)
class Answers:
    """What was asked: a name or an address, and how TLS is done. `certificate` and `key` for files only."""

    host: str
    tls: Tls
    email: str = ""
    certificate: Path | None = None
    key: Path | None = None
    relay_addresses: tuple[str, ...] = ()
    """Where the separate relay is reached; empty: the relay is inside control."""

    @property
    def relay_name(self) -> str:
        return "derp.meshbox.invalid" if self.is_address else f"derp.{self.host}"

    @property
    def is_address(self) -> bool:
        try:
            ip_address(self.host)
        except ValueError:
            return False
        return True

    @property
    def server_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.tls == 'none' else 'https'}://{host}"


def text_of(answers: Answers) -> str:
    return HEAD + "\n".join(_lines(answers)) + "\n"


def _lines(answers: Answers) -> Iterator[str]:
    yield f'server_url: "{answers.server_url}"'
    if answers.tls == "none":
        yield 'listen_addr: ":80"'
    else:
        yield 'listen_addr: ":443"'
        yield "http:"
        yield '  listen_addr: ":80"'
    if answers.tls == "acme":
        yield "acme:"
        yield "  enabled: true"
        if answers.email:
            yield f'  email: "{answers.email}"'
    if answers.tls == "files":
        yield f'tls_cert_path: "{answers.certificate}"'
        yield f'tls_key_path: "{answers.key}"'
    server = list(_relay_lines(answers))
    if answers.relay_addresses or server:
        yield "derp:"
        if answers.relay_addresses:
            yield f"  push: [{RELAY_SOCKET}]"
        yield "  server:"
        yield from (f"    {line}" for line in server)


def _relay_lines(answers: Answers) -> Iterator[str]:
    addresses = answers.relay_addresses
    if addresses:
        yield "separate: true"
        yield f"host_name: {answers.relay_name}"
        yield f"handover_socket: {HANDOVER_SOCKET}"
    elif answers.tls == "none":
        yield 'listen_addr: ":443"'
    if answers.is_address and not addresses:
        addresses = (answers.host,)
    for address in addresses:
        yield f'{"ipv6" if ":" in address else "ipv4"}: "{address}"'


def relay_text_of(answers: Answers) -> str:
    """The relay's own drop-in."""
    names = ", ".join(f'"{name}"' for name in (answers.relay_name, *answers.relay_addresses))
    return f"{RELAY_HEAD}hostnames: [{names}]\n"


def write(directory: Path, text: str) -> Config:
    """Write the drop-in after a look at what it makes of the whole configuration, which is returned. Raises
    ConfigError, Invalid, Refused; then nothing was written."""
    config = _rehearse(directory, text)
    put(directory / FILE, text)
    return config


def present(file: Path) -> str | None:
    """What the file says now; None when there is none."""
    try:
        return file.read_text()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Invalid(f"{file} cannot be read: {error.strerror}") from None


def put(file: Path, text: str | None) -> None:
    """Write the file in one step, or remove it. Raises Invalid, Refused."""
    try:
        if text is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_name(f".{file.name}.new")
        draft.write_text(text)
        draft.chmod(0o644)
        draft.replace(file)
    except PermissionError:
        raise Refused(f"{file.parent} can only be written by root: sudo meshbox setup") from None
    except OSError as error:
        raise Invalid(f"{file} cannot be written: {error.strerror}") from None


def _rehearse(directory: Path, text: str) -> Config:
    """The configuration as it will be, from copies: a wrong answer must not reach the running server."""
    with tempfile.TemporaryDirectory(prefix="meshbox-setup-") as place:
        for present in (directory.parent / "config.yaml", *directory.glob("*.yaml")):
            if present.exists():
                (Path(place) / f"{'00-' * (present.parent != directory)}{present.name}").write_bytes(
                    present.read_bytes()
                )
        (Path(place) / FILE).write_text(text)
        env = {name: value for name, value in os.environ.items() if not name.startswith("MESHBOX_")}
        return load(Path(place), env)
