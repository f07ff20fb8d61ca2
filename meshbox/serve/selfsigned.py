"""A certificate for people without a domain: made once, kept, and pinned in the DERP map.

Its fingerprint is in every client's map, so a new one makes all clients reconnect. It is therefore
valid for ten years and made anew only if the names it must cover change, it is about to expire, or
its files cannot be used.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from meshbox.durable import write_whole
from meshbox.errors import CertificateError
from meshbox.serve.certificates import Certificate
from meshbox.wire.keys import NodeKey

STEM = "relay-selfsigned"
CERT_NAME, KEY_NAME = f"{STEM}.crt", f"{STEM}.key"
LIFE = timedelta(days=3650)
RENEW_BEFORE = timedelta(days=30)
COMMON_NAME_LIMIT = 64


def self_signed(
    state_dir: Path, hosts: Iterable[str], now: float, relay_key: NodeKey | None = None, stem: str = STEM
) -> Certificate:
    """The kept certificate if it covers exactly these names and addresses, else a new one. `now` is
    unix seconds, `stem` names its files. Raises CertificateError if it cannot be written."""
    wanted = tuple(dict.fromkeys(hosts))
    cert_path, key_path = state_dir / f"{stem}.crt", state_dir / f"{stem}.key"
    try:
        kept = Certificate(cert_path, key_path, relay_key)
        if kept.expires_at - now > RENEW_BEFORE.total_seconds() and _covers(cert_path, wanted):
            return kept
    except CertificateError:
        pass  # There is none yet, or none that could be used.
    cert, key = _make(wanted, datetime.fromtimestamp(now, UTC))
    try:
        # The key first: a certificate without its key is found out and made again.
        write_whole(key_path, key)
        write_whole(cert_path, cert)
    except OSError as error:
        raise CertificateError(
            f"cannot keep a self-signed certificate in {state_dir}: {error.strerror}"
        ) from None
    return Certificate(cert_path, key_path, relay_key)


def _covers(path: Path, hosts: tuple[str, ...]) -> bool:
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return list(names) == [_general_name(host) for host in hosts]


def _make(hosts: tuple[str, ...], now: datetime) -> tuple[bytes, bytes]:
    """PEM of a certificate and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0][:COMMON_NAME_LIMIT])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back: the clocks of small machines are late at boot.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM), secret


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)
