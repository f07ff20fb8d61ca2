"""The ID token: that the provider made it, just now, for this sign-in of ours.

The signature is PyJWT's business. Times are looked at here, because below serve/ nobody reads a clock.

Source: OpenID Connect Core 1.0, 3.1.3.7.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from meshbox.errors import Malformed, Unproven
from meshbox.wire.openid import read_object

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
"""Not `none`, and none that a public key could be used as a password for (HS256)."""

TOKEN_LIMIT = 64 << 10
"""Characters. Tokens of people in hundreds of groups have twenty thousand."""

KEYS_LIMIT = 64
LEEWAY = 60.0
"""Seconds by which clocks may differ."""

LONGEST = 600.0
"""Seconds since it was made: it comes straight from the provider."""

LONGEST_LIFE = 366 * 86400.0
"""Seconds. A device may be good for as long as the token, and a wild number would be no date any more."""

UNCHECKED = dict.fromkeys(("verify_exp", "verify_iat", "verify_nbf", "verify_aud"), False)
"""Looked at below: PyJWT would read the clock."""


@dataclass(frozen=True, slots=True)
class Expected:
    """`now` in seconds since the epoch."""

    issuer: str
    client_id: str
    nonce: str
    now: float


class UnknownKey(Unproven):
    """Signed with a key that the provider had not when it was last asked; it may have a new one."""


def read_keys(body: bytes) -> tuple[Mapping[str, Any], ...]:
    """The provider's public keys. Raises Malformed."""
    keys = read_object(body, "its keys").get("keys")
    if not isinstance(keys, list):
        raise Malformed("gave no keys")
    return tuple(key for key in keys[:KEYS_LIMIT] if isinstance(key, dict) and key.get("use", "sig") == "sig")


def verify(token: str, keys: tuple[Mapping[str, Any], ...], expected: Expected) -> Mapping[str, Any]:
    """The token's claims. Raises Unproven, and UnknownKey of these when another look at the keys may help."""
    if len(token) > TOKEN_LIMIT:
        raise Unproven(f"the token has more than {TOKEN_LIMIT >> 10} KiB")
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError as error:
        raise Unproven(f"the token is none: {error}") from None
    algorithm = header.get("alg")
    if algorithm not in ALGORITHMS:
        raise Unproven(f"the token is signed by {str(algorithm)[:20]!r}, which shows nothing")
    claims = _claims(token, _key(keys, header), algorithm, expected.issuer)
    _check(claims, expected)
    return claims


def _key(keys: tuple[Mapping[str, Any], ...], header: Mapping[str, Any]) -> jwt.PyJWK:
    """The one that the header names; without a name there must be only one of its kind."""
    kid, algorithm = header.get("kid"), header["alg"]
    fitting = []
    for key in keys:
        if (kid is not None and key.get("kid") != kid) or key.get("alg", algorithm) != algorithm:
            continue
        try:
            fitting.append(jwt.PyJWK(dict(key), algorithm))
        except jwt.PyJWTError:
            continue
    if len(fitting) != 1:
        raise UnknownKey(
            f"the token is signed with a key that the provider does not show ({str(kid)[:80]!r})"
        )
    return fitting[0]


def _claims(token: str, key: jwt.PyJWK, algorithm: str, issuer: str) -> Mapping[str, Any]:
    try:
        return jwt.decode(token, key.key, algorithms=[algorithm], issuer=issuer, options=UNCHECKED)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Unproven(f"the token is not the provider's: {error}") from None


def _check(claims: Mapping[str, Any], expected: Expected) -> None:
    audience = claims.get("aud")
    for_whom = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in for_whom:
        raise Unproven("the token is meant for somebody else (aud)")
    if (len(for_whom) > 1 or "azp" in claims) and claims.get("azp") != expected.client_id:
        raise Unproven("the token was given to somebody else (azp)")
    if claims.get("nonce") != expected.nonce:
        raise Unproven("the token belongs to another sign-in (nonce)")
    expires, made = _time(claims, "exp"), _time(claims, "iat")
    if "nbf" in claims and _time(claims, "nbf") - LEEWAY > expected.now:
        raise Unproven("the token is not good yet; do the clocks of provider and server agree?")
    if expires + LEEWAY < expected.now:
        raise Unproven("the token has expired; do the clocks of provider and server agree?")
    if expires - expected.now > LONGEST_LIFE:
        raise Unproven("the token is good for more than a year")
    if not -LEEWAY <= expected.now - made <= LONGEST:
        raise Unproven("the token was not made just now; do the clocks of provider and server agree?")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Unproven(f"the token says not from when to when it is good ({name})")
    return float(value)
