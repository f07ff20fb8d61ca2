from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from meshbox.errors import Malformed
from meshbox.wire.acme import naming
from tests.serve.acme.paper import authority_certificate, server_certificate

NAMES = ("mesh.example.com", "192.0.2.7", "2001:db8::7")


def test_a_request_asks_for_exactly_the_names() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.load_der_x509_csr(naming.signing_request(key, NAMES))
    assert request.is_signature_valid and not list(request.subject)
    found = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(found) == [naming.general_name(name) for name in NAMES]


def test_how_an_authority_is_told_of_a_name() -> None:
    assert [naming.identifier(name) for name in (*NAMES, "[2001:DB8::7]")] == [
        {"type": "dns", "value": "mesh.example.com"},
        {"type": "ip", "value": "192.0.2.7"},
        {"type": "ip", "value": "2001:db8::7"},
        {"type": "ip", "value": "2001:db8::7"},
    ]


def test_the_names_of_a_certificate_come_back() -> None:
    key, root = authority_certificate("An authority")
    _, certificate = server_certificate(key, root, NAMES)
    assert naming.names_of(certificate) == frozenset(NAMES)
    assert naming.names_of(root) == frozenset()


def test_the_renewal_id_is_issuer_key_and_serial() -> None:
    key, root = authority_certificate("An authority")
    _, certificate = server_certificate(key, root, NAMES)
    issuer, serial = naming.renewal_id(certificate).split(".")
    raw = base64.urlsafe_b64decode(serial + "=" * (-len(serial) % 4))
    # As DER has it: the number, never negative, no byte more than needed.
    assert int.from_bytes(raw, "big", signed=True) == certificate.serial_number
    assert len(raw) == 1 or raw[0] != 0 or raw[1] >= 0x80
    known = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest
    assert base64.urlsafe_b64decode(issuer + "=" * (-len(issuer) % 4)) == known
    with pytest.raises(Malformed, match="issuer"):
        naming.renewal_id(root)
