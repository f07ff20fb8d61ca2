"""A certificate authority for one laboratory, and the server certificate it issues."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


@dataclass(frozen=True, slots=True)
class Issued:
    """Paths of PEM files: the authority to trust, the server's certificate and its private key."""

    authority: Path
    certificate: Path
    key: Path


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _unsigned(subject: str, issuer: str, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=30))
    )


class Authority:
    """An authority of its own, which is trusted where its file is. Certificates lie in its directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "authority.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = (
            _unsigned("Laboratory authority", "Laboratory authority", self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.path.write_bytes(root.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, address: IPv4Address, stem: str = "server") -> Issued:
        """A server certificate for a DNS name and an address, in files that begin with `stem`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = x509.SubjectAlternativeName([x509.DNSName(name), x509.IPAddress(address)])
        certificate = (
            _unsigned(name, "Laboratory authority", key)
            .add_extension(names, critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        issued = Issued(self.path, self.directory / f"{stem}.pem", self.directory / f"{stem}.key")
        issued.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        issued.key.touch(mode=0o600)
        issued.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return issued


def issue_certificate(directory: Path, name: str, address: IPv4Address) -> Issued:
    """Make an authority and a server certificate for a DNS name and an address."""
    return Authority(directory).issue(name, address)
