"""What a certificate is for, and how an authority calls it: names, requests, ids for renewal.

An address is a name too: authorities give certificates for bare IP addresses (RFC 8738), short-lived ones.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from meshbox.errors import Malformed
from meshbox.wire.acme.jws import b64


def address_of(name: str) -> IPv4Address | IPv6Address | None:
    """The address a name is, or None for a domain."""
    try:
        return ip_address(name.strip("[]"))
    except ValueError:
        return None


def identifier(name: str) -> dict[str, str]:
    address = address_of(name)
    return {"type": "dns", "value": name} if address is None else {"type": "ip", "value": str(address)}


def general_name(name: str) -> x509.GeneralName:
    address = address_of(name)
    return x509.DNSName(name) if address is None else x509.IPAddress(address)


def signing_request(key: ec.EllipticCurvePrivateKey, names: tuple[str, ...]) -> bytes:
    """DER of a certificate request. The subject is empty: only the alternative names count, and a common
    name has no room for a long domain."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    alternatives = x509.SubjectAlternativeName([general_name(name) for name in names])
    return (
        builder.add_extension(alternatives, critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.DER)
    )


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """The domains and addresses a certificate is good for."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    domains = found.get_values_for_type(x509.DNSName)
    addresses = found.get_values_for_type(x509.IPAddress)
    return frozenset([*domains, *(str(address) for address in addresses)])


def renewal_id(certificate: x509.Certificate) -> str:
    """How RFC 9773 names a certificate: issuer's key and serial number. Raises Malformed when it does not
    say whose key signed it."""
    try:
        issuer = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    except x509.ExtensionNotFound:
        raise Malformed("the certificate does not name its issuer's key") from None
    if issuer.key_identifier is None:
        raise Malformed("the certificate does not name its issuer's key")
    serial = certificate.serial_number
    # The bytes of a DER integer: one more bit than the number has, for the sign.
    return f"{b64(issuer.key_identifier)}.{b64(serial.to_bytes(serial.bit_length() // 8 + 1, 'big'))}"
