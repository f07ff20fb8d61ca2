"""OpenID Connect, the bytes of it: what a provider says of itself, what it is asked, whom it names.

Source: OpenID Connect Core 1.0 and Discovery 1.0, RFC 6749 (code grant), RFC 7636 (PKCE), RFC 9207 (iss).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from meshbox import fastjson
from meshbox.config.openid import is_private_way
from meshbox.errors import Malformed, Unproven

DISCOVERY = "/.well-known/openid-configuration"
ANSWER_LIMIT = 256 << 10
"""Bytes of any answer of a provider. Keys of the largest take 20 KiB; a person in hundreds of groups 30."""

SUBJECT_LIMIT = 255
"""Characters; the standard's own limit."""

TEXT_LIMIT = 256
GROUP_LIMIT = 256
"""Groups of one person that are looked at; directories of large organisations put people into dozens."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """What discovery told. `userinfo_endpoint` is "" where there is none."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    token_methods: tuple[str, ...] = ("client_secret_basic",)


@dataclass(frozen=True, slots=True)
class Client:
    """We, at the provider. Without a secret we are a public client."""

    id: str
    secret: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class Question:
    """An authorization request: the texts that only this sign-in has."""

    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class Tokens:
    id_token: str
    access_token: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed in. Identity is (`provider`, `subject`) alone: everything else is a label that can change,
    or be given to somebody else. `groups` is None when the provider says nothing of groups; `expires_at` is
    the token's end."""

    provider: str
    subject: str
    email: str = ""
    email_is_verified: bool = False
    username: str = ""
    display_name: str = ""
    picture_url: str = ""
    groups: tuple[str, ...] | None = None
    expires_at: float | None = None


def discovery_url(issuer: str) -> str:
    return issuer.rstrip("/") + DISCOVERY


def read_metadata(body: bytes, issuer: str) -> Metadata:
    """Raises Malformed. The issuer must be the one that was asked, but for a slash at its end, which people
    leave away; as the provider writes it, it stands in tokens."""
    told = read_object(body, "its description")
    named = _text(told, "issuer")
    if named.rstrip("/") != issuer.rstrip("/"):
        raise Malformed(f"calls itself {named[:200]!r}; write that as oidc.issuer if it is the one you mean")
    methods = told.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    return Metadata(
        issuer=named,
        authorization_endpoint=_endpoint(told, "authorization_endpoint"),
        token_endpoint=_endpoint(told, "token_endpoint"),
        jwks_uri=_endpoint(told, "jwks_uri"),
        userinfo_endpoint=_endpoint(told, "userinfo_endpoint") if told.get("userinfo_endpoint") else "",
        token_methods=tuple(_texts(methods)),
    )


def _endpoint(told: Mapping[str, Any], name: str) -> str:
    url = _text(told, name)
    if not url:
        raise Malformed(f"names no {name} in its description")
    if not is_private_way(url):
        raise Malformed(f"has its {name} at {url[:200]}, which is not https")
    return url


def sign_in_url(
    metadata: Metadata,
    client: Client,
    question: Question,
    scope: Iterable[str],
    more: Iterable[tuple[str, str]],
) -> str:
    """Where to send the browser."""
    challenge = hashlib.sha256(question.verifier.encode()).digest()
    fields = {
        **dict(more),
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uri,
        "scope": " ".join(scope),
        "state": question.state,
        "nonce": question.nonce,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    glue = "&" if "?" in metadata.authorization_endpoint else "?"
    return metadata.authorization_endpoint + glue + urlencode(fields)


def redemption(
    metadata: Metadata, client: Client, code: str, question: Question
) -> tuple[dict[str, str], dict[str, str]]:
    """(headers, form) that exchange the code for tokens."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": question.verifier,
    }
    if not client.secret:
        return {}, form | {"client_id": client.id}
    if "client_secret_basic" not in metadata.token_methods and "client_secret_post" in metadata.token_methods:
        return {}, form | {"client_id": client.id, "client_secret": client.secret}
    # RFC 6749, 2.3.1: both are form-encoded before they are joined.
    pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, form


def read_tokens(status: int, body: bytes) -> Tokens:
    """The answer to a redemption. Raises Malformed, or Unproven when the code was refused."""
    told = read_object(body, "its answer to the code")
    if status != 200:
        reason = _text(told, "error_description") or _text(told, "error") or f"status {status}"
        raise Unproven(f"the provider did not take the code: {reason[:TEXT_LIMIT]}")
    id_token = told.get("id_token")
    if not isinstance(id_token, str) or not id_token:
        raise Malformed("gave no ID token; is `openid` in oidc.scope?")
    return Tokens(id_token, _text(told, "access_token"))


def read_claims(body: bytes) -> Mapping[str, Any]:
    """The answer of the userinfo endpoint. Raises Malformed."""
    return read_object(body, "its answer about the person")


def with_userinfo(claims: Mapping[str, Any], userinfo: Mapping[str, Any]) -> Mapping[str, Any]:
    """What userinfo says wins, if it is about the same person: otherwise it is somebody else's answer, put in
    the way of ours."""
    return {**claims, **userinfo} if userinfo.get("sub") == claims.get("sub") else claims


def read_identity(claims: Mapping[str, Any], issuer: str, groups_claim: str) -> Identity:
    """Raises Unproven when there is no subject that could be kept."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LIMIT or not subject.isprintable():
        raise Unproven("the token names nobody: its subject is empty, too long or not printable")
    verified, groups = claims.get("email_verified"), _find(claims, groups_claim)
    expires = claims.get("exp")
    return Identity(
        provider=issuer,
        subject=subject,
        email=_label(claims, "email"),
        # Some providers write it as text.
        email_is_verified=verified is True or (isinstance(verified, str) and verified.lower() == "true"),
        username=_label(claims, "preferred_username"),
        display_name=_label(claims, "name"),
        picture_url=_label(claims, "picture"),
        groups=None if groups is None else tuple(_texts(groups))[:GROUP_LIMIT],
        expires_at=float(expires) if isinstance(expires, int | float) else None,
    )


def _find(claims: Mapping[str, Any], name: str) -> object:
    """A claim by its name, which may have dots in it (Auth0's are URLs), or by its path, as Keycloak's
    realm_access.roles."""
    if name in claims or "." not in name:
        return claims.get(name)
    found: object = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _label(claims: Mapping[str, Any], name: str) -> str:
    """A text for people, or "" for one that cannot be kept."""
    text = _text(claims, name).strip()
    return text if len(text) <= TEXT_LIMIT and text.isprintable() else ""


def _texts(value: object) -> list[str]:
    """Providers write a list of one as the one."""
    if isinstance(value, str):
        return [value]
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _text(told: Mapping[str, Any], name: str) -> str:
    value = told.get(name)
    return value if isinstance(value, str) else ""


def read_object(body: bytes, what: str) -> Mapping[str, Any]:
    """What a provider says as JSON. Raises Malformed."""
    try:
        told = fastjson.loads(body)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Malformed(f"gave no JSON object as {what}")
    return told
