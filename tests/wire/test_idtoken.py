"""Tokens that must not be believed, and the ones that must."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable

import jwt
import pytest

from meshbox.errors import Malformed, Unproven
from meshbox.wire import idtoken
from meshbox.wire.idtoken import Expected, UnknownKey, read_keys, verify
from tests.fake.provider import Signer, part

NOW = 1_800_000_000.0
EXPECTED = Expected("https://id.example.com", "meshbox", "the nonce", NOW)
GOOD: dict[str, object] = {
    "iss": "https://id.example.com", "aud": "meshbox", "sub": "id1", "nonce": "the nonce",
    "iat": NOW - 1, "exp": NOW + 300,
}  # fmt: skip
SIGNER, OTHER = Signer(), Signer("two")
KEYS = (SIGNER.jwk(),)


def claims(**more: object) -> dict[str, object]:
    changed = {**GOOD, **more}
    return {name: value for name, value in changed.items() if value is not None}


@pytest.mark.parametrize("signer", [SIGNER, Signer("e", "ES256"), Signer("p", "PS384")])
def test_a_good_one_is_believed(signer: Signer) -> None:
    keys = (OTHER.jwk(), signer.jwk())
    assert verify(signer.sign(claims()), keys, EXPECTED)["sub"] == "id1"
    assert verify(signer.sign(claims(aud=["meshbox", "api"], azp="meshbox")), keys, EXPECTED)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"iss": "https://evil.example.com"}, "not the provider's"),
        ({"iss": None}, "not the provider's"),
        ({"aud": "another"}, "aud"),
        ({"aud": None}, "aud"),
        ({"aud": ["meshbox", "api"]}, "azp"),
        ({"azp": "another"}, "azp"),
        ({"nonce": "another"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": NOW - 61}, "expired"),
        ({"exp": NOW + 367 * 86400}, "more than a year"),
        ({"exp": 1e300}, "more than a year"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "exp"),
        ({"exp": True}, "exp"),
        ({"iat": NOW + 61}, "just now"),
        ({"iat": NOW - 601}, "just now"),
        ({"iat": None}, "iat"),
        ({"nbf": NOW + 61}, "not good yet"),
    ],
)
def test_what_is_not_for_this_sign_in(more: dict[str, object], why: str) -> None:
    with pytest.raises(Unproven, match=why):
        verify(SIGNER.sign(claims(**more)), KEYS, EXPECTED)


def test_clocks_may_differ_by_a_minute() -> None:
    assert verify(SIGNER.sign(claims(exp=NOW - 59, iat=NOW + 59, nbf=NOW + 59)), KEYS, EXPECTED)


def unsigned(algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT', 'kid': 'one'})}.{part(GOOD)}."


def with_public_key_as_password() -> str:
    """The mistake of many: the public key, which everybody has, taken for a shared secret."""

    signed = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(GOOD)}"
    digest = hmac.digest(SIGNER.pem(), signed.encode(), "sha256")
    return f"{signed}.{urlsafe_b64encode(digest).rstrip(b'=').decode()}"


@pytest.mark.parametrize(
    "make",
    [
        lambda: unsigned("none"),
        lambda: unsigned("None"),
        lambda: unsigned("RS256"),
        with_public_key_as_password,
        lambda: jwt.encode(GOOD, "k" * 32, algorithm="HS256"),
        lambda: OTHER.sign(claims(), kid="one"),
        lambda: Signer("one", "ES256").sign(claims()),
        lambda: "",
        lambda: "a.b.c",
        lambda: "x" * (idtoken.TOKEN_LIMIT + 1),
    ],
)
def test_what_the_provider_did_not_sign(make: Callable[[], str]) -> None:
    with pytest.raises(Unproven):
        verify(make(), KEYS, EXPECTED)


def test_every_changed_character_is_noticed() -> None:
    token = SIGNER.sign(claims())
    for place in range(0, len(token), 7):
        other = "A" if token[place] != "A" else "B"
        with pytest.raises(Unproven):
            verify(token[:place] + other + token[place + 1 :], KEYS, EXPECTED)


def test_a_key_that_is_not_shown_may_be_new() -> None:
    with pytest.raises(UnknownKey):
        verify(OTHER.sign(claims()), KEYS, EXPECTED)
    nameless = jwt.encode(claims(), SIGNER.key, algorithm="RS256")
    with pytest.raises(UnknownKey):
        verify(nameless, (SIGNER.jwk(), OTHER.jwk()), EXPECTED)


def test_keys_for_other_uses_and_of_other_kinds_are_passed_over() -> None:
    odd = {"kty": "unheard", "kid": "one"}
    keys = read_keys(json.dumps({"keys": [SIGNER.jwk(use="enc"), odd, SIGNER.jwk(), 7]}).encode())
    assert verify(SIGNER.sign(claims()), keys, EXPECTED)
    for body in (b"", b"[]", b'{"keys": 7}'):
        with pytest.raises(Malformed):
            read_keys(body)
