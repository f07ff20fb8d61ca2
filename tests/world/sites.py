"""Sites of a test: a private network with a machine that runs no client and says who asked it, and the
clients that carry the network for others."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from tests.world.clients import Client
from tests.world.net import Guests, Net
from tests.world.network import Host, Router
from tests.world.process import Daemon

ECHO = """
import http.server, socket, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (sys.argv[2] + " " + self.client_address[0].removeprefix("::ffff:")).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): pass
class Both(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
Both(("::", int(sys.argv[1])), Answer).serve_forever()
"""
OUTSIDE = "198.51.100.7"
OUTSIDE6 = "2001:db8:99::7"
"""Addresses of the internet; in the laboratory only the machine of one site has them. They are not the LAN's:
an exit node carries nobody into the network it is in itself."""
LAN6 = "2001:db8:7::7"


@dataclass
class Site:
    """`machine` answers at port 8000 with its name and the address it was asked from."""

    net: Net
    guests: Guests
    lan: Router
    machine: Host
    web: Daemon

    @property
    def network(self) -> str:
        return str(self.lan.network)

    @property
    def address(self) -> str:
        return str(self.net.lab.cables[self.machine.name].address)

    @property
    def page(self) -> str:
        return f"http://{self.address}:8000/"

    def gateway(self, name: str, *words: str, key: str = "", version: str = "") -> Client:
        """A client in the LAN that can carry it and the way outside; `words` say what it offers."""
        client = self.guests.start(name, behind=self.lan, version=version)
        client.host.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        inside = self.net.lab.cables[name].address
        client.host.links(
            f"route add {OUTSIDE}/32 via {self.address}",
            f"addr add 2001:db8:7::{int(inside) & 255:x}/64 dev eth0 nodad",
            f"route add {OUTSIDE6}/128 via {LAN6}",
        )
        return client.up(key or self.net.key, *words)

    def inner(self, name: str) -> str:
        """The address of a gateway in the LAN: who the machine sees when that one carries the traffic."""
        return str(self.net.lab.cables[name].address)


def open_site(net: Net, guests: Guests, name: str, inside: IPv4Network | None = None) -> Site:
    """`name` must be new in the laboratory."""
    lan = net.lab.router(f"{name}-lan", inside=inside)
    machine = net.lab.host(f"{name}-machine", behind=lan)
    machine.links(f"addr add {OUTSIDE}/32 dev lo", f"addr add {OUTSIDE6}/128 dev lo nodad",
                  f"addr add {LAN6}/64 dev eth0 nodad")  # fmt: skip
    web = Daemon(name, machine.directory / "web.log")
    web.start(machine.inside([sys.executable, "-c", ECHO, "8000", name]))
    return Site(net, guests, lan, machine, web)


def put_policy(net: Net, file: Any, **sections: object) -> None:
    """Put a policy in force; without sections everything is allowed."""
    del file
    net.put_policy(**sections)
