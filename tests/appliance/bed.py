"""The test bed: a small internet with a bare Debian server, official clients, and what a provider would have.

vps        203.0.113.2, the machine that becomes the appliance
mirror     203.0.113.3, the distribution's packages and ours, over HTTP
authority  203.0.113.4, pebble and the name server it asks
operator   203.0.113.5, where ansible-playbook and ssh run
clients    namespaces with official tailscaled
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from tests.appliance.machine import Machine
from tests.world.lab import CONTROL_NAME, Lab
from tests.world.network import Host
from tests.world.process import Daemon, Outcome, eventually, run

ROOT = Path(__file__).parents[2]
MIRROR_PORT = 8000
# Not `python -m http.server`, which asks for its own name in the DNS and waits for an answer.
SERVE = """
import functools, http.server, socketserver, sys
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=sys.argv[2])
socketserver.ThreadingTCPServer(("0.0.0.0", int(sys.argv[1])), handler).serve_forever()
"""
SOURCES = """\
Types: deb
URIs: http://203.0.113.3:8000/debian/
Suites: ./
Trusted: yes
"""


@cache
def images() -> tuple[Path, Path]:
    """(base image, archive of the distribution's packages)."""
    said = subprocess.run(
        ["sh", str(ROOT / "tests/appliance/images.sh")], stdout=subprocess.PIPE, text=True, check=True
    )
    base, archive = said.stdout.split()
    return Path(base), Path(archive)


@cache
def packages(version: str = "", ref: str = "", lintian: bool = False) -> tuple[Path, ...]:
    """Our .debs, built from the working tree, or from a commit under another version."""
    on = os.environ.get("MESHBOX_DISTRIBUTION", "trixie")
    out = ROOT / ".cache" / "appliance" / "debs" / f"{version or 'this'}-{on}-{ref or _inputs()}"
    if (found := tuple(sorted(out.glob("*.deb")))) and (out / ".made").exists():
        return found
    command = ["sh", str(ROOT / "packaging/build.sh"), "--out", str(out)]
    command += ["--version", version] if version else []
    command += ["--ref", ref] if ref else []
    command += [] if lintian else ["--no-lintian"]
    run(command, timeout=300)
    (out / ".made").touch()
    return tuple(sorted(out.glob("*.deb")))


def _inputs() -> str:
    """A name for what the packages are built from, so that it is built once."""
    digest = hashlib.sha256()
    for place in ("meshbox", "packaging", "systemd", "docs", "setup.cfg", "README.md", "CHANGELOG.md"):
        inputs = sorted((ROOT / place).rglob("*")) if (ROOT / place).is_dir() else [ROOT / place]
        for file in inputs:
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


def shown_certificate(host: Host) -> str:
    """What the server shows to a machine that knows its name, PEM."""
    script = "import ssl, sys; print(ssl.get_server_certificate((sys.argv[1], 443)))"
    return host.run(sys.executable, "-c", script, CONTROL_NAME).out


class Server:
    """The appliance as the clients' laboratory knows its server: a URL, and administration by our command."""

    def __init__(self, machine: Machine, url: str) -> None:
        self.machine = machine
        self.url = url
        self.daemon = machine.daemon

    def admin(self, *words: str, check: bool = True) -> Outcome:
        """Run `meshbox WORDS` as root of the machine."""
        return self.machine.run("meshbox", *words, check=check)

    def ask(self, *words: str) -> Any:
        """Run `meshbox WORDS -o json` and decode the answer."""
        return json.loads(self.admin(*words, "-o", "json").out)

    def create_key(self, user: str, *more: str) -> str:
        """Create a pre-auth key."""
        return str(self.ask("preauthkeys", "create", "--user", user, "--expiration", "1h", *more)["key"])

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Nodes by given name."""
        return {node["givenName"]: node for node in self.ask("nodes", "list") or []}

    def close(self) -> None:
        """The machine is switched off by whoever made it."""


class Bed(Lab):
    """A laboratory without a server: the machine that becomes one is bare."""

    def __init__(self, *, public: bool = True) -> None:
        super().__init__(tls=public)
        self.machines: dict[str, Machine] = {}
        self.hosts: dict[str, Host] = {}
        self._daemons: list[Daemon] = []

    def machine(
        self, name: str, number: int, prepare: Callable[[Machine], None] = lambda machine: None
    ) -> Machine:
        """A bare Debian on the backbone, booted. `prepare` lays files on its disk before."""
        base, _ = images()
        host = self._keep(Host(name, self.directory / name))
        self.cables[name] = self.backbone.plug(host, self.network[number])
        machine = Machine(host, base)
        machine.lay(
            "/etc/apt/sources.list.d/debian.sources", SOURCES.replace("203.0.113.3", str(self.network[3]))
        )
        machine.lay("/etc/apt/sources.list", "")
        machine.lay("/etc/hostname", f"{name}\n")
        machine.lay("/etc/resolv.conf", f"nameserver {self.network[4]}\n")
        prepare(machine)
        self.machines[name] = machine
        machine.boot()
        return machine

    def outpost(self, name: str, number: int) -> Host:
        """A host of the laboratory's own with the real file system."""
        host: Host = self._keep(Host(name, self.directory / name))
        self.cables[name] = self.backbone.plug(host, self.network[number])
        self.hosts[name] = host
        return host

    def serve_mirror(self, ours: Path | None = None) -> None:
        """The distribution's archive under /debian/, our repository under /meshbox/."""
        host = self.outpost("mirror", 3)
        place = self.directory / "mirror" / "www"
        place.mkdir()
        (place / "debian").symlink_to(images()[1])
        if ours is not None:
            (place / "meshbox").symlink_to(ours)
        self.start("mirror", host, sys.executable, "-c", SERVE, str(MIRROR_PORT), str(place))
        eventually(
            lambda: (
                host.run("curl", "-fsSI", f"http://127.0.0.1:{MIRROR_PORT}/debian/Packages", check=False).code
                == 0
            ),
            10,
            "the mirror answers",
        )

    def start(self, name: str, host: Host, *argv: str, env: dict[str, str] | None = None) -> Daemon:
        """A daemon on a host, ended with the bed."""
        daemon = Daemon(name, self.directory / f"{name}.log")
        daemon.start(host.inside(argv), env=None if env is None else {**os.environ, **env})
        self._daemons.append(daemon)
        return daemon

    def report(self, lines: int = 30) -> str:
        """What to show beside a failure."""
        parts = []
        for name, machine in self.machines.items():
            if machine.daemon.alive:
                parts.append(f"--- {name}\n{machine.journal('meshbox*', lines)}")
        parts += [f"--- {name}\n{client.daemon.tail(lines)}" for name, client in self.clients.items()]
        return "\n".join(parts)

    def close(self) -> None:
        for daemon in self._daemons:
            daemon.stop()
        for machine in self.machines.values():
            machine.close()
        super().close()
