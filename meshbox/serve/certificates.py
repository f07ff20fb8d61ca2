"""The certificate of a TLS listener: from files, checked before it is used, swapped while running.

`Certificate.context` is asked for at each new connection, so a reload is one assignment: open
connections keep what they have. A reload that fails raises and changes nothing.

With `relay_key`, the relay's public key, its metacert follows the chain, see metacert.py. Clients from
before May 2025 refuse a pinned certificate that comes with one, so it can be left out.
"""

from __future__ import annotations

import hashlib
import os
import re
import ssl
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from meshbox.errors import CertificateError
from meshbox.serve.metacert import LIFE, metacert
from meshbox.wire.keys import NodeKey

PIN_PREFIX = "sha256-raw:"
MINT_AFTER = LIFE / 2
"""Seconds after which the metacert is made anew, for relays that run for months."""

PEM_LIMIT = 256 * 1024
"""Bytes of a certificate file. A chain has a few thousand; more is some other file, given by mistake."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Loaded:
    """One state of the files. Times are unix seconds; `leaf` is the first certificate of the chain."""

    context: ssl.SSLContext
    pin: str
    leaf: x509.Certificate
    expires_at: float
    read_at: float


class Certificate:
    """A certificate and its key, in two PEM files. Raises CertificateError."""

    def __init__(self, cert_path: Path, key_path: Path, relay_key: NodeKey | None = None) -> None:
        self._cert_path = cert_path
        self._key_path = key_path
        self._relay_key = relay_key
        self._loaded = self._load(time.time())

    @property
    def context(self) -> ssl.SSLContext:
        """What a new connection uses."""
        now = time.time()
        if self._relay_key is not None and now - self._loaded.read_at > MINT_AFTER:
            self._mint_again(now)
        return self._loaded.context

    @property
    def pin(self) -> str:
        """How a DERP map names this very certificate (CertName)."""
        return self._loaded.pin

    @property
    def expires_at(self) -> float:
        return self._loaded.expires_at

    @property
    def valid_from(self) -> float:
        return _not_before(self._loaded.leaf)

    @property
    def leaf(self) -> x509.Certificate:
        return self._loaded.leaf

    def replace(self, cert_path: Path, key_path: Path) -> None:
        """Use other files from now on. Raises CertificateError and keeps what it has."""
        before = self._cert_path, self._key_path
        self._cert_path, self._key_path = cert_path, key_path
        try:
            self.reload()
        except CertificateError:
            self._cert_path, self._key_path = before
            raise

    def reload(self) -> None:
        """Read the files again. Raises CertificateError and keeps what it has."""
        self._loaded = self._load(time.time())

    def _mint_again(self, now: float) -> None:
        try:
            self._loaded = self._load(now)
        except CertificateError:
            # The files are being replaced or are gone; whoever asks for a reload will hear of it.
            self._loaded = replace(self._loaded, read_at=now)

    def _load(self, now: float) -> Loaded:
        chain = _read_chain(self._cert_path)
        leaf = chain[0]
        expires_at = _not_after(leaf)
        _check_dates(self._cert_path, leaf, expires_at, now)
        ders = [_der_of(certificate) for certificate in chain]
        if self._relay_key is not None:
            ders.append(metacert(self._relay_key, Ed25519PrivateKey.generate(), now))
        context = _make_context()
        _load_pair(context, ders, self._cert_path, self._key_path)
        return Loaded(context, PIN_PREFIX + hashlib.sha256(ders[0]).hexdigest(), leaf, expires_at, now)


def _make_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A client that renegotiates for ever costs a handshake each time; nobody needs it.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    # Clients of ours keep no sessions, so two tickets per connection are wasted.
    context.num_tickets = 0
    return context


def _read_chain(path: Path) -> list[x509.Certificate]:
    try:
        with path.open("rb") as file:
            text = file.read(PEM_LIMIT)
    except OSError as error:
        raise CertificateError(f"cannot read the TLS certificate {path}: {error.strerror}") from None
    try:
        chain = [x509.load_pem_x509_certificate(block) for block in _PEM.findall(text)]
    except ValueError:
        raise CertificateError(f"{path} holds a damaged certificate: write the PEM file again") from None
    if not chain:
        raise CertificateError(
            f"{path} holds no certificate: it must be a PEM file with the server's certificate first"
        )
    return chain


def _load_pair(context: ssl.SSLContext, ders: list[bytes], cert_path: Path, key_path: Path) -> None:
    """OpenSSL wants a file for the chain; this one never touches a disk."""
    if not os.access(key_path, os.R_OK):
        raise CertificateError(
            f"cannot read the TLS key {key_path}: it is missing or not readable for meshbox"
        )
    text = "".join(ssl.DER_cert_to_PEM_cert(der) for der in ders).encode()
    descriptor = os.memfd_create("certificate chain")
    try:
        os.write(descriptor, text)
        context.load_cert_chain(f"/proc/self/fd/{descriptor}", key_path, password=_refuse_password)
    except _EncryptedKey:
        raise CertificateError(
            f"the TLS key {key_path} is encrypted: store it without a passphrase"
        ) from None
    except ssl.SSLError as error:
        reason = (
            f"the TLS key {key_path} does not belong to the certificate {cert_path}"
            if error.reason == "KEY_VALUES_MISMATCH"
            else f"{key_path} holds no private key that TLS can use with {cert_path}"
        )
        raise CertificateError(reason) from None
    finally:
        os.close(descriptor)


class _EncryptedKey(Exception):
    pass


def _refuse_password() -> str:
    """Without it OpenSSL would ask on the terminal."""
    raise _EncryptedKey


def _check_dates(path: Path, leaf: x509.Certificate, expires_at: float, now: float) -> None:
    if expires_at <= now:
        raise CertificateError(f"the TLS certificate {path} expired on {_day(expires_at)}: renew it")
    valid_from = _not_before(leaf)
    if valid_from > now:
        raise CertificateError(
            f"the TLS certificate {path} is valid only from {_day(valid_from)}: is the clock right?"
        )


def _der_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _not_after(certificate: x509.Certificate) -> float:
    return _unix(certificate, "not_valid_after")


def _not_before(certificate: x509.Certificate) -> float:
    return _unix(certificate, "not_valid_before")


def _unix(certificate: x509.Certificate, name: str) -> float:
    """cryptography renamed the dates in version 42 and warns about the old names since."""
    at = getattr(certificate, f"{name}_utc", None) or getattr(certificate, name).replace(tzinfo=UTC)
    assert isinstance(at, datetime)
    return at.timestamp()


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d", time.gmtime(at))
