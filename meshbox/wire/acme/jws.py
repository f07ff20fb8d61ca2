"""Signed requests as ACME wants them (RFC 8555 section 6.2): JWS with ES256, flattened JSON.

The account key is an EC key on P-256. Its thumbprint (RFC 7638) is what a challenge is answered with:
whoever can publish it under a name shows that the name is the account holder's.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from meshbox.errors import Malformed

COORDINATE = 32
"""Bytes of one number on P-256."""


def b64(raw: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def compact(value: object) -> bytes:
    """JSON without spaces, names sorted: what is hashed and signed has one spelling."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


class AccountKey:
    """Raises Malformed for a key that is not on P-256."""

    def __init__(self, private: ec.EllipticCurvePrivateKey) -> None:
        if not isinstance(private.curve, ec.SECP256R1):
            raise Malformed(f"the account key is on {private.curve.name}, not on P-256")
        self._private = private
        numbers = private.public_key().public_numbers()
        self.jwk = {
            "crv": "P-256",
            "kty": "EC",
            "x": b64(numbers.x.to_bytes(COORDINATE, "big")),
            "y": b64(numbers.y.to_bytes(COORDINATE, "big")),
        }
        self.thumbprint = b64(hashlib.sha256(compact(self.jwk)).digest())

    @classmethod
    def from_pem(cls, pem: bytes) -> AccountKey:
        """Raises Malformed."""
        try:
            private = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise Malformed("the account key is no PEM private key") from None
        if not isinstance(private, ec.EllipticCurvePrivateKey):
            raise Malformed("the account key is no EC key")
        return cls(private)

    def authorization(self, token: str) -> str:
        """What the challenge with this token is answered with."""
        return f"{token}.{self.thumbprint}"

    def sign(self, url: str, nonce: str, payload: object, account: str = "") -> bytes:
        """The body of a request. `payload` None is POST-as-GET; without `account`, the account's URL, the
        whole public key goes along."""
        head: dict[str, Any] = {"alg": "ES256", "nonce": nonce, "url": url}
        head |= {"kid": account} if account else {"jwk": self.jwk}
        protected = b64(compact(head))
        body = "" if payload is None else b64(compact(payload))
        r, s = decode_dss_signature(
            self._private.sign(f"{protected}.{body}".encode(), ec.ECDSA(hashes.SHA256()))
        )
        signature = b64(r.to_bytes(COORDINATE, "big") + s.to_bytes(COORDINATE, "big"))
        return compact({"payload": body, "protected": protected, "signature": signature})
