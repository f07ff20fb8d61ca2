"""The judge: pebble, Let's Encrypt's own test authority, on loopback with a DNS server of its own.

    with Pebble(directory, http_port) as authority:
        authority.directory_url, authority.trust      what a configuration wants
        authority.roots()                             what clients of a server it certified must trust

It refuses nonces, reuses no authorizations and validates at `http_port`; `refuse(name)` blocks a name.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.serve.acme.paper import authority_certificate, server_certificate
from tests.world.ports import free_port
from tests.world.process import Daemon, LabError, run

ROOT = Path(__file__).parents[3]
VERSION = "2.10.1"
CACHE = Path(os.environ.get("MESHBOX_PEBBLE_CACHE", ROOT / ".cache/pebble")) / VERSION


def binary(name: str) -> str:
    path = CACHE / name
    if path.exists():
        return str(path)
    raise LabError(f"{path} is missing: run scripts/build-pebble.sh")


FETCH = """
import ssl, sys, urllib.request as u
trust = ssl.create_default_context(cafile=sys.argv[2])
body = sys.stdin.buffer.read() or None
sys.stdout.write(u.urlopen(sys.argv[1], body, timeout=5, context=trust).read().decode())
"""

Inside = Callable[[Sequence[str]], list[str]]


class Pebble:
    """`profiles` are its kinds of certificate with their life in seconds; `inside` are the words that run a
    command on another machine of a laboratory, where it then lives."""

    def __init__(
        self, directory: Path, http_port: int, inside: Inside = lambda words: [*words], **profiles: int
    ) -> None:
        self._home = directory / "pebble"
        self._home.mkdir()
        self._inside = inside
        self._api, self._management, self._dns, self._dns_control = (free_port() for _ in range(4))
        self.trust = self._home / "trust.pem"
        self.directory_url = f"https://127.0.0.1:{self._api}/dir"
        self._profiles = profiles or {"default": 7776000, "shortlived": 518400}
        self._http_port = http_port
        self.daemon = Daemon("pebble", self._home / "log")
        self.names = Daemon("pebble's DNS", self._home / "dns.log")
        self.resolver = ""
        """host:port of the name server it asks; "" is its own, for which every name is this machine."""
        self.binding_keys: dict[str, str] = {}
        """Key id -> MAC key in base64url of its customers; with any, nobody else gets an account."""
        self.environment = {
            "PEBBLE_VA_NOSLEEP": "1",
            "PEBBLE_WFE_NONCEREJECT": "15",
            "PEBBLE_AUTHZREUSE": "0",
        }

    def __enter__(self) -> Pebble:
        key, root = authority_certificate("Pebble's own")
        server_key, server = server_certificate(key, root, ["127.0.0.1"])
        self.trust.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        (self._home / "cert.pem").write_bytes(server.public_bytes(serialization.Encoding.PEM))
        (self._home / "key.pem").write_bytes(_pem(server_key))
        config = {
            "listenAddress": f"127.0.0.1:{self._api}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(self._home / "cert.pem"),
            "privateKey": str(self._home / "key.pem"),
            "httpPort": self._http_port,
            "tlsPort": free_port(),
            "externalAccountBindingRequired": bool(self.binding_keys),
            "externalAccountMACKeys": self.binding_keys,
            "domainBlocklist": ["refused.test"],
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {
                name: {"description": name, "validityPeriod": seconds}
                for name, seconds in self._profiles.items()
            },
        }
        (self._home / "config.json").write_text(json.dumps({"pebble": config}))
        dns = f"127.0.0.1:{self._dns}"
        off = [f"-{name}=" for name in ("http01", "https01", "tlsalpn01", "doh")]
        names = [binary("pebble-challtestsrv"), *off, "-dnsserver", dns, "-defaultIPv6="]
        self.names.start(self._inside([*names, "-management", f"127.0.0.1:{self._dns_control}"]))
        command = [binary("pebble"), "-config", str(self._home / "config.json")]
        command += ["-dnsserver", self.resolver or dns]
        self.daemon.start(self._inside(command), {**os.environ, **self.environment})
        self.daemon.ready(self._answers, 15, "answers")
        return self

    def __exit__(self, *exc: object) -> None:
        for one in (self.daemon, self.names):
            one.stop(signal.SIGKILL)

    def _answers(self) -> bool:
        try:
            return bool(self._get(self.directory_url))
        except LabError:
            return False

    def _get(self, url: str, body: str = "") -> str:
        command = [sys.executable, "-c", FETCH, url, str(self.trust)]
        return run(self._inside(command), timeout=10, stdin=body).out

    def root(self) -> str:
        """The authority whose certificates it issues, PEM."""
        return self._get(f"https://127.0.0.1:{self._management}/roots/0")

    def advise(self, certificate: x509.Certificate, start: float, end: float) -> None:
        """From now on its renewal information for this certificate is this window, unix seconds."""
        window = {"start": _moment(start), "end": _moment(end)}
        pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        wish = {"certificate": pem, "ariResponse": json.dumps({"suggestedWindow": window})}
        self._get(f"https://127.0.0.1:{self._management}/set-renewal-info/", json.dumps(wish))

    def said(self, words: str) -> int:
        """How often its log has these words."""
        return self.daemon.text().count(words)


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
