"""The laboratory: a backbone, a server on it, and as many clients as a test asks for.

    lab = Lab.open()                    plain HTTP on private addresses
    lab = Lab.open(tls=True)            HTTPS on public-looking addresses with a certificate of our own
    key = lab.server.create_key("lab", "--reusable")
    ana = lab.client("ana", "1.102.5").up(key)
    lab.close()

Plain HTTP needs private addresses: on a public address the clients insist on HTTPS at port 443 when they
reconnect within two minutes. Everything lives in one temporary directory that carries our process id;
directories of dead runs are removed at the next start, processes and namespaces die by themselves.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from tests.world.authority import issue_certificate
from tests.world.clients import Build, Client, Wish
from tests.world.network import Cable, Host, Router, Segment, Translation
from tests.world.server import Offer, Server

PREFIX = "meshbox-lab-"
PRIVATE = IPv4Network("10.99.0.0/24")
PUBLIC = IPv4Network("203.0.113.0/24")
CONTROL_NAME = "control.example.net"


def sweep() -> None:
    """Remove what runs that no longer exist left on disk."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = directory.name.removeprefix(PREFIX).split("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            shutil.rmtree(directory, ignore_errors=True)


class Lab:
    """One laboratory. Use `Lab.open`; close it in any case."""

    def __init__(self, *, tls: bool = False) -> None:
        sweep()
        self.directory = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        self.network = PUBLIC if tls else PRIVATE
        self.cables: dict[str, Cable] = {}
        self.clients: dict[str, Client] = {}
        self._hosts: list[Host] = []
        self._next_address = 10
        self.backbone = self._keep(Segment("backbone", self.directory / "backbone", self.network))
        self.authority: Path | None = None
        self.server: Server

    @classmethod
    def open(cls, *, tls: bool = False, settings: dict[str, Any] | None = None) -> Lab:
        """Build the backbone and a running server with the user "lab"."""
        lab = cls(tls=tls)
        try:
            lab._add_server(tls, settings or {})
            lab.server.start()
            lab.server.create_user("lab")
        except BaseException:
            lab.close()
            raise
        return lab

    def _add_server(self, tls: bool, settings: dict[str, Any]) -> None:
        address = self.network[2]
        if not tls:
            offer = Offer(f"http://{address}:8080", 8080, address, more=settings)
        else:
            issued = issue_certificate(self.directory, CONTROL_NAME, address)
            self.authority = issued.authority
            pair = (issued.certificate, issued.key)
            offer = Offer(f"https://{CONTROL_NAME}", 443, address, certificate=pair, more=settings)
        self._serve(offer)

    def _serve(self, offer: Offer) -> None:
        host = self._keep(Host("server", self.directory / "server"))
        self.cables["server"] = self.backbone.plug(host, offer.address)
        self.server = Server(host, offer)

    def _keep(self, host: Any) -> Any:
        self._hosts.append(host)
        return host

    def _address(self) -> IPv4Address:
        self._next_address += 1
        return self.network[self._next_address]

    def host(self, name: str, behind: Router | None = None, *, hostname: str = "") -> Host:
        """A machine on the backbone, or in the private network of a router."""
        directory = self.directory / name
        if directory.exists():
            # Another test had a machine of this name.
            directory = self.directory / f"{name}-{len(self._hosts)}"
        host: Host = self._keep(Host(name, directory, private=True, hostname=hostname))
        segment = behind or self.backbone
        address = self._address() if behind is None else behind.network[10 + len(self.cables) % 200]
        self.cables[name] = segment.plug(host, address)
        host.name_address(CONTROL_NAME, self.network[2])
        return host

    def router(
        self, name: str, translation: Translation = "easy", inside: IPv4Network | None = None
    ) -> Router:
        """A router on the backbone with a private network behind it, one of its own unless `inside` says
        which."""
        inside = inside or IPv4Network(f"192.168.{len(self._hosts)}.0/24")
        router = Router(name, self.directory / name, inside, (self.backbone, self._address()), translation)
        self.cables[name] = router.cable
        self._keep(router)
        return router

    def client(self, name: str, version: str, *, on: Host | None = None, behind: Router | None = None,
               wish: Wish | None = None) -> Client:  # fmt: skip
        """A started client, not joined yet, on a machine of its own unless `on` names one."""
        wish = wish or Wish()
        if self.authority:
            trust = {"SSL_CERT_FILE": str(self.authority), "SSL_CERT_DIR": str(self.directory / "none")}
            wish = Wish(wish.tun, wish.port, {**trust, **wish.environment})
        host = on or self.host(name, behind)
        client = Client(name, host, Build(version), self.server.url, wish)
        self.clients[name] = client
        return client.start()

    def dismiss(self, client: Client) -> None:
        """End a client and its machine; the server is not told."""
        client.close()
        self.clients.pop(client.name, None)

    def report(self, lines: int = 30) -> str:
        """The last log lines of the server and of every client, for a failed test."""
        parts = [f"--- server\n{self.server.daemon.tail(lines)}"]
        parts += [f"--- {name}\n{client.daemon.tail(lines)}" for name, client in self.clients.items()]
        return "\n".join(parts)

    def close(self) -> None:
        """End every process, let go of every namespace, remove the directory."""
        for client in list(self.clients.values()):
            client.close()
        if hasattr(self, "server"):
            self.server.close()
        for host in reversed(self._hosts):
            host.close()
        shutil.rmtree(self.directory, ignore_errors=True)
