"""What is kept of certificates, in `state_dir`/acme:

    account.key        the account's private key; who has it may order and revoke
    certificate.pem    the newest private key and chain, in one file: they change together
    standing.json      from which authority it came, and how the last try went

All are 0600 and appear whole or not at all.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from meshbox.durable import write_whole
from meshbox.errors import CertificateError, Malformed
from meshbox.wire.acme.jws import AccountKey

DIRECTORY, ACCOUNT, CERTIFICATE, STANDING = "acme", "account.key", "certificate.pem", "standing.json"
FILE_LIMIT = 64 * 1024


@dataclass(frozen=True, slots=True)
class Standing:
    """`authority` is the directory URL the certificate on the shelf came from, "" before the first, and
    `obtained_at` when. `failures` in a row since, with what the last one said and when the next try is; so a
    server that is restarted in a circle does not use up the authority's patience. `wish` is what was asked
    for then: a mended configuration need not wait. Times are unix seconds."""

    authority: str = ""
    obtained_at: float = 0.0
    wish: str = ""
    failures: int = 0
    retry_at: float = 0.0
    reason: str = ""


class Shelf:
    """Raises CertificateError when the directory cannot be used."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir / DIRECTORY
        self.certificate = self.directory / CERTIFICATE
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise CertificateError(
                f"cannot keep certificates in {self.directory}: {error.strerror}"
            ) from None

    def account_key(self) -> AccountKey:
        """The account's key, made when there is none. Raises CertificateError for a file that holds
        something else: a new account would be a stranger to the authority."""
        path = self.directory / ACCOUNT
        try:
            pem = path.read_bytes() if path.exists() else b""
            if not pem:
                pem = private_pem(ec.generate_private_key(ec.SECP256R1()))
                write_whole(path, pem)
        except OSError as error:
            raise CertificateError(f"cannot use {path}: {error.strerror}") from None
        try:
            return AccountKey.from_pem(pem)
        except Malformed as fault:
            raise CertificateError(
                f"{path}: {fault}; restore it from a backup, or remove it for a new account"
            ) from None

    def standing(self) -> Standing:
        """A damaged or missing file is a fresh start: nothing in it cannot be found out again."""
        try:
            with (self.directory / STANDING).open("rb") as file:
                return Standing(**json.loads(file.read(FILE_LIMIT)))
        except (OSError, ValueError, TypeError):
            return Standing()

    def keep_standing(self, standing: Standing) -> None:
        """Raises OSError."""
        write_whole(self.directory / STANDING, json.dumps(asdict(standing)).encode())

    def keep_certificate(self, key: ec.EllipticCurvePrivateKey, chain: bytes) -> None:
        """Raises OSError."""
        write_whole(self.certificate, private_pem(key) + chain)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
