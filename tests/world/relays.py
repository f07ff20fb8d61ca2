"""Relays on loopback for the official tools: ours and the official `derper`, which trust each other."""

from __future__ import annotations

import json
import os
import socket
import sys
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from tests.fake.derp import Way
from tests.serve.tlsends import client_context
from tests.world.authority import Authority, Issued
from tests.world.clients import CACHE
from tests.world.ports import free_port
from tests.world.process import Daemon, LabError, Outcome, run

LOOPBACK = IPv4Address("127.0.0.1")
MESHBOX = Path(sys.executable).with_name("meshbox")
DERPER = CACHE / "derper"


@dataclass
class Relay:
    """One relay process. `region` of a DERP map has its node."""

    name: str
    port: int
    stun_port: int
    daemon: Daemon
    directory: Path
    argv: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def start_again(self) -> None:
        """After the process was ended."""
        self.daemon.start(self.argv, self.environment)

    @property
    def way(self) -> Way:
        return Way(self.port, tls=client_context(), name=self.name)

    def node(self, region: int) -> dict[str, Any]:
        return {
            "Name": self.name, "RegionID": region, "HostName": self.name, "IPv4": "127.0.0.1", "IPv6": "::1",
            "DERPPort": self.port, "STUNPort": self.stun_port or -1,
        }  # fmt: skip


@dataclass
class Bench:
    """A directory with one trust store for everything that is started in it."""

    directory: Path
    relays: list[Relay] = field(default_factory=list)
    mesh_key: Path = field(init=False)

    def __post_init__(self) -> None:
        self.authority = Authority(self.directory)
        self.mesh_key = self.directory / "mesh.key"
        self.mesh_key.write_text(os.urandom(32).hex() + "\n")

    @property
    def environment(self) -> dict[str, str]:
        """For programs that shall trust our certificates and nothing else."""
        return {
            **os.environ,
            "SSL_CERT_FILE": str(self.authority.path),
            "SSL_CERT_DIR": str(self.directory / "none"),
        }

    def derper(self, name: str, *more: str, port: int = 0) -> Relay:
        """The official relay."""
        if not (DERPER / "derper").exists():
            raise LabError(f"{DERPER / 'derper'} is missing: run scripts/build-derper.sh")
        relay, issued = self._place(name, port)
        certificates = relay.directory / "certs"
        certificates.mkdir()
        (certificates / f"{name}.crt").write_bytes(issued.certificate.read_bytes())
        (certificates / f"{name}.key").write_bytes(issued.key.read_bytes())
        return self._start(relay, [
            str(DERPER / "derper"), "-a", f":{relay.port}", "-http-port", "-1",
            "-stun-port", str(relay.stun_port), "-hostname", name, "-certmode", "manual",
            "-certdir", str(certificates), "-c", str(relay.directory / "derper.json"),
            "-mesh-psk-file", str(self.mesh_key), *more,
        ])  # fmt: skip

    def ours(self, name: str, *more: str, port: int = 0) -> Relay:
        """`meshbox derp`, open as a lab's unless `more` says otherwise."""
        relay, issued = self._place(name, port)
        admit = () if "--admit" in more else ("--admit", "all")
        mesh = () if "--workers" in more else ("--mesh-key", str(self.mesh_key))
        return self._start(relay, [
            str(MESHBOX), "derp", "--listen", f"[::]:{relay.port}", "--yes",
            "--stun", f"[::]:{relay.stun_port}",
            "--cert", str(issued.certificate), "--key", str(issued.key), "--hostname", name,
            "--state-dir", str(relay.directory), "--socket", str(relay.directory / "derp.sock"),
            *mesh, *admit, *more,
        ])  # fmt: skip

    def write_map(self, *regions: list[Relay]) -> Path:
        """A DERP map with these regions, from number 900 on."""
        written = {
            str(number): {
                "RegionID": number, "RegionCode": f"r{number}", "RegionName": f"Region {number}",
                "Nodes": [relay.node(number) for relay in relays],
            }
            for number, relays in enumerate(regions, start=900)
        }  # fmt: skip
        path = self.directory / "map.json"
        path.write_text(json.dumps({"Regions": written}))
        return path

    def tool(self, *argv: str, timeout: float = 60.0) -> Outcome:
        """Run an official tool to which the names of the relays mean this machine."""
        hosts = self.directory / "hosts"
        hosts.write_text("".join(f"127.0.0.1 {relay.name}\n::1 {relay.name}\n" for relay in self.relays))
        script = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'
        words = ["unshare", "--mount", "sh", "-c", script, "sh", str(hosts), *argv]
        return run(words, timeout=timeout, check=False, env=self.environment)

    def close(self) -> None:
        for relay in self.relays:
            relay.daemon.stop()

    def _place(self, name: str, port: int) -> tuple[Relay, Issued]:
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        issued = self.authority.issue(name, LOOPBACK, name)
        daemon = Daemon(name, directory / "log")
        stun_port = free_port()
        return Relay(name, port or free_port(), stun_port, daemon, directory), issued

    def _start(self, relay: Relay, argv: list[str]) -> Relay:
        relay.argv, relay.environment = argv, self.environment
        relay.start_again()
        self.relays.append(relay)

        def answers() -> bool:
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", relay.port)) == 0

        relay.daemon.ready(answers, 10, "listens")
        return relay
