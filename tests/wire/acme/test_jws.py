from __future__ import annotations

import base64
import json

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from meshbox.errors import Malformed
from meshbox.wire.acme.jws import AccountKey, b64

KEY = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())


def unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def verify(message: dict[str, str]) -> None:
    signature = unb64(message["signature"])
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    signed = f"{message['protected']}.{message['payload']}".encode()
    KEY.public_key().verify(encode_dss_signature(r, s), signed, ec.ECDSA(hashes.SHA256()))


def test_the_thumbprint_is_that_of_the_standard() -> None:
    """RFC 7638: SHA-256 over the required members, sorted, without spaces."""
    jwk = AccountKey(KEY).jwk
    assert list(jwk) == ["crv", "kty", "x", "y"]
    numbers = KEY.public_key().public_numbers()
    assert int.from_bytes(unb64(jwk["x"]), "big") == numbers.x
    text = f'{{"crv":"P-256","kty":"EC","x":"{jwk["x"]}","y":"{jwk["y"]}"}}'
    digest = hashes.Hash(hashes.SHA256())
    digest.update(text.encode())
    thumbprint = b64(digest.finalize())
    assert AccountKey(KEY).thumbprint == thumbprint
    assert AccountKey(KEY).authorization("token") == f"token.{thumbprint}"


@pytest.mark.parametrize("payload", [None, {}, {"b": 1, "a": "ü"}])
@pytest.mark.parametrize("account", ["", "https://ca/acct/1"])
def test_what_is_signed_can_be_verified(payload: object, account: str) -> None:
    message = json.loads(AccountKey(KEY).sign("https://ca/new", "nonce", payload, account))
    verify(message)
    head = json.loads(unb64(message["protected"]))
    assert (head["alg"], head["url"], head["nonce"]) == ("ES256", "https://ca/new", "nonce")
    assert ("jwk" in head, head.get("kid", "")) == (not account, account)
    assert (json.loads(unb64(message["payload"])) if message["payload"] else None) == payload


def test_a_changed_message_does_not_verify() -> None:
    message = json.loads(AccountKey(KEY).sign("https://ca/new", "nonce", {"a": 1}))
    with pytest.raises(InvalidSignature):
        verify(message | {"payload": b64(b'{"a":2}')})


def test_a_key_comes_back_from_its_file_and_others_are_refused() -> None:
    assert AccountKey.from_pem(pem(KEY)).thumbprint == AccountKey(KEY).thumbprint
    for wrong, word in (
        (b"", "no PEM"),
        (b"garbage", "no PEM"),
        (pem(ed25519.Ed25519PrivateKey.generate()), "no EC key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "not on P-256"),
    ):
        with pytest.raises(Malformed, match=word):
            AccountKey.from_pem(wrong)
