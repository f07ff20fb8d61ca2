"""pebble and its name server on a host of the bed: the certificate authority of this small internet."""

from __future__ import annotations

import json
import time
from pathlib import Path

from cryptography.hazmat.primitives import serialization

from tests.appliance.bed import Bed
from tests.serve.acme.paper import authority_certificate, server_certificate
from tests.serve.acme.pebble import binary

API, MANAGEMENT = 14000, 15000


class Authority:
    """At the bed's .4. `trust` is the root of its own API, `root` that of what it issues."""

    def __init__(self, bed: Bed, refused_nonces: int = 15) -> None:
        """`refused_nonces` is how many of a hundred requests it refuses, to be asked again."""
        self.host = bed.outpost("authority", 4)
        self.address = bed.network[4]
        self.home = bed.directory / "authority"
        self.trust, self.root = self.home / "trust.pem", self.home / "root.pem"
        self.directory_url = f"https://{self.address}:{API}/dir"
        self._write()
        off = [f"-{name}=" for name in ("http01", "https01", "tlsalpn01", "doh")]
        names = [binary("pebble-challtestsrv"), *off, "-dnsserver", f"{self.address}:53", "-defaultIPv6=",
                 "-defaultIPv4", str(bed.network[2]), "-management", "127.0.0.1:8055"]  # fmt: skip
        bed.start("names", self.host, *names)
        environment = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": str(refused_nonces),
                       "PEBBLE_AUTHZREUSE": "0"}  # fmt: skip
        pebble = [
            binary("pebble"),
            "-config",
            str(self.home / "pebble.json"),
            "-dnsserver",
            f"{self.address}:53",
        ]
        self.daemon = bed.start("pebble", self.host, *pebble, env=environment)
        self.daemon.ready(self._fetch_root, 15, "answers")

    def _write(self) -> None:
        key, root = authority_certificate("Pebble's own")
        server_key, server = server_certificate(key, root, [str(self.address)])
        encoding = serialization.Encoding.PEM
        self.trust.write_bytes(root.public_bytes(encoding))
        (self.home / "cert.pem").write_bytes(server.public_bytes(encoding))
        (self.home / "key.pem").write_bytes(
            server_key.private_bytes(
                encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        config = {
            "listenAddress": f"{self.address}:{API}",
            "managementListenAddress": f"{self.address}:{MANAGEMENT}",
            "certificate": str(self.home / "cert.pem"),
            "privateKey": str(self.home / "key.pem"),
            "httpPort": 80,
            "tlsPort": 443,
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "default", "validityPeriod": 7776000}},
        }
        (self.home / "pebble.json").write_text(json.dumps({"pebble": config}))

    def _ask(self, path: str, *more: str) -> str:
        url = f"https://{self.address}:{MANAGEMENT}{path}"
        return self.host.run("curl", "-fsS", "--cacert", str(self.trust), *more, url).out

    def _fetch_root(self) -> bool:
        self.root.write_text(self._ask("/roots/0"))
        return True

    def wants_renewal(self, certificate: Path) -> None:
        """From now on its advice for this certificate (PEM) is: renew at once."""
        window = {"start": _moment(-7200), "end": _moment(-3600)}
        wish = {
            "certificate": certificate.read_text(),
            "ariResponse": json.dumps({"suggestedWindow": window}),
        }
        self._ask("/set-renewal-info/", "--data", json.dumps(wish))


def _moment(ago: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + ago))
