"""The server under test: `meshbox serve` on its own host, administered with our own command line."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import yaml

from tests.world.network import Host
from tests.world.process import Daemon, Outcome, eventually, run

MESHBOX = Path(sys.executable).with_name("meshbox")
BASE_DOMAIN = "mesh.lab"
REGION, REGION_ID = "lab", 900
RELOADED = "configuration reloaded"


@dataclass(frozen=True, slots=True)
class Offer:
    """How the server is reached. With a certificate everything, relay included, is HTTPS on one port."""

    url: str
    port: int
    address: IPv4Address
    certificate: tuple[Path, Path] | None = None
    more: dict[str, Any] = field(default_factory=dict)


def configuration(directory: Path, offer: Offer) -> dict[str, Any]:
    """The configuration file of a laboratory server."""
    relay = {
        "enabled": True, "region_id": REGION_ID, "region_code": REGION, "region_name": "Laboratory",
        "listen_addr": "" if offer.certificate else "0.0.0.0:8443",
        "stun_listen_addr": "0.0.0.0:3478", "verify_clients": True,
        "private_key_path": str(directory / "derp.key"),
        "automatically_add_embedded_derp_region": True, "ipv4": str(offer.address),
    }  # fmt: skip
    written: dict[str, Any] = {
        "server_url": offer.url,
        "listen_addr": f"0.0.0.0:{offer.port}",
        "metrics_listen_addr": "127.0.0.1:9090",
        "unix_socket": str(directory / "meshbox.sock"),
        "state_dir": str(directory),
        "noise": {"private_key_path": str(directory / "noise.key")},
        "prefixes": {"v4": "100.64.0.0/10", "v6": "fd7a:115c:a1e0::/48", "allocation": "sequential"},
        "derp": {"server": relay, "urls": []},
        "database": {"type": "sqlite", "sqlite": {"path": str(directory / "meshbox.sqlite")}},
        "dns": {"magic_dns": True, "base_domain": BASE_DOMAIN, "override_local_dns": False},
        "log": {"level": "debug"},
        **offer.more,
    }
    if offer.certificate:
        written["tls_cert_path"], written["tls_key_path"] = (str(path) for path in offer.certificate)
    return written


class Server:
    """`meshbox serve` with its state directory."""

    def __init__(self, host: Host, offer: Offer) -> None:
        self.host = host
        self.offer = offer
        self.url = offer.url
        self.directory = host.directory / "meshbox"
        self.directory.mkdir()
        self.config = self.directory / "config.yaml"
        self.config.write_text(yaml.safe_dump(configuration(self.directory, offer)))
        self.daemon = Daemon("meshbox serve", self.directory / "log")

    def start(self, within: float = 15.0) -> None:
        """Start and wait until it answers on its administration socket."""
        self.daemon.start(self.host.inside([str(MESHBOX), "serve", "--config", str(self.config)]))
        self.daemon.ready(self._answers, within, "is ready")

    def _answers(self) -> bool:
        return self.admin("health", check=False).code == 0

    def reconfigure(self, **sections: Any) -> None:
        """Write a configuration with these sections in place of its own, and have it taken over at once."""
        written = configuration(self.directory, self.offer)
        self.config.write_text(yaml.safe_dump(written | sections))
        count = self.daemon.text().count(RELOADED)
        self.daemon.signal(signal.SIGHUP)
        eventually(lambda: self.daemon.text().count(RELOADED) > count, 10, "the server reloads")

    def stop(self) -> int:
        """Ask it to end and wait; returns the exit code."""
        return self.daemon.stop(signal.SIGTERM)

    def kill(self) -> None:
        """End it like a power cut."""
        self.daemon.stop(signal.SIGKILL)

    def close(self) -> None:
        """End it whatever its state."""
        self.kill()

    # --- administration, by our command line over the unix socket

    def admin(self, *words: str, check: bool = True) -> Outcome:
        """Run `meshbox WORDS`."""
        return run([str(MESHBOX), "-c", str(self.config), *words], check=check)

    def ask(self, *words: str) -> Any:
        """Run `meshbox WORDS -o json` and decode the answer."""
        return json.loads(self.admin(*words, "-o", "json").out)

    def create_user(self, name: str) -> None:
        """Create a user."""
        self.admin("users", "create", name)

    def create_key(self, user: str, *more: str) -> str:
        """Create a pre-auth key; give --reusable, --ephemeral, --tags ... as `more`."""
        return str(self.ask("preauthkeys", "create", "--user", user, "--expiration", "1h", *more)["key"])

    def nodes(self) -> dict[str, dict[str, Any]]:
        """Nodes by given name."""
        return {node["givenName"]: node for node in self.ask("nodes", "list") or []}

    def node_id(self, name: str) -> str:
        """The id of a node, by given name."""
        return str(self.nodes()[name]["id"])
