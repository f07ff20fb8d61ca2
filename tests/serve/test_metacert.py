from __future__ import annotations

import time
from datetime import UTC

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from meshbox.serve.metacert import LIFE, metacert
from meshbox.wire.keys import NodeKey

KEY = NodeKey(bytes(range(32)))

pytestmark = pytest.mark.filterwarnings("ignore:Attribute's length must be")


def lifetime(made: x509.Certificate) -> tuple[float, float]:
    """cryptography renamed the dates in version 42 and warns about the old names since."""
    if hasattr(made, "not_valid_after_utc"):
        return made.not_valid_before_utc.timestamp(), made.not_valid_after_utc.timestamp()
    begin, end = made.not_valid_before, made.not_valid_after
    return begin.replace(tzinfo=UTC).timestamp(), end.replace(tzinfo=UTC).timestamp()


def test_it_says_what_clients_look_for() -> None:
    now = time.time()
    made = x509.load_der_x509_certificate(metacert(KEY, Ed25519PrivateKey.generate(), now))
    (name,) = made.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert name.value == "derpkey" + KEY.hex()
    assert made.issuer == made.subject
    assert made.serial_number == 2
    assert made.version is x509.Version.v3
    begin, end = lifetime(made)
    assert abs(end - (now + LIFE)) < 2
    assert abs(begin - (now - LIFE)) < 2
    (extension,) = made.extensions
    assert extension.critical
    assert extension.value == x509.BasicConstraints(ca=False, path_length=None)


def test_it_is_signed_by_itself() -> None:
    made = x509.load_der_x509_certificate(metacert(KEY, Ed25519PrivateKey.generate(), 1_700_000_000))
    public = made.public_key()
    assert isinstance(public, Ed25519PublicKey)
    public.verify(made.signature, made.tbs_certificate_bytes)
    assert lifetime(made)[0] == 1_700_000_000 - LIFE
