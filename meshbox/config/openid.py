"""The keys of signing in by an OpenID Connect provider. See schema.py."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from meshbox.config import kinds, network
from meshbox.config.keys import key
from meshbox.config.kinds import Kind, found, listed, optional, read_text

Params = tuple[tuple[str, str], ...]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
OURS = ("client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge")
"""Of an authorization request: what `extra_params` may not replace."""


def _issuer(raw: object) -> str:
    text = read_text(raw)
    if not text:
        return ""
    parts = network.split_url(text)
    if parts is None or parts.query or parts.fragment or not is_private_way(text):
        raise ValueError(f"wants an https URL such as https://id.example.com, found {found(raw)}")
    return text


def is_private_way(url: str) -> bool:
    """Nobody on the way can read or change what is said: https, or this very machine, for trials."""
    parts = network.split_url(url)
    if parts is None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)


def _params(raw: object) -> Params:
    if not isinstance(raw, dict):
        raise ValueError(f"wants names with their values, found {found(raw)}")
    for name in raw:
        if str(name) in OURS or str(name).startswith("code_challenge"):
            raise ValueError(f"has {name}, which meshbox sets itself")
    return tuple((str(name), read_text(value)) for name, value in raw.items())


def _mail_domain(raw: object) -> str:
    text = read_text(raw).lower().removeprefix("@")
    if not re.fullmatch(r"[^\s@]+", text):
        raise ValueError(f"wants what stands behind the @, such as example.com, found {found(raw)}")
    return text


ISSUER: Kind[str] = Kind("URL", _issuer)
PARAMS: Kind[Params] = Kind("names with values", _params, write=dict, in_environment=False)
MAIL_DOMAIN: Kind[str] = Kind("domain", _mail_domain)


@dataclass(frozen=True, slots=True)
class Oidc:
    issuer: str = key(
        ISSUER,
        "",
        "The provider, as it writes itself in its tokens. With it people let their devices in by signing in "
        "there. Register the client with the redirect URI <server_url>/oidc/callback.",
        example="https://id.example.com/realms/home",
    )
    client_id: str = key(kinds.TEXT, "", "Our name at the provider.")
    client_secret_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "File with our password at the provider. Empty: a public client, protected by PKCE alone.",
    )
    scope: tuple[str, ...] = key(
        listed(kinds.TEXT),
        ("openid", "profile", "email"),
        "What is asked for; openid must be among it. Some providers want `groups` here to name them.",
    )
    extra_params: Params = key(
        PARAMS, (), "More for the provider's sign-in page, such as domain_hint or prompt.", example="{}"
    )
    allowed_domains: tuple[str, ...] = key(
        listed(MAIL_DOMAIN), (), "Only people with an e-mail address in one of these domains. Empty: anybody."
    )
    allowed_users: tuple[str, ...] = key(
        listed(kinds.TEXT), (), "Only people with one of these e-mail addresses. Empty: anybody."
    )
    allowed_groups: tuple[str, ...] = key(
        listed(kinds.TEXT), (), "Only people in one of these groups, spelled as there. Empty: anybody."
    )
    email_verified_required: bool = key(
        kinds.FLAG,
        True,
        "Take an e-mail address only when the provider says that it was verified. Otherwise whoever can type "
        "an address there has it here.",
    )
    groups_claim: str = key(
        kinds.TEXT,
        "groups",
        "Where the provider names a person's groups. A policy then knows them as group:NAME.",
    )
    use_expiry_from_token: bool = key(
        kinds.FLAG,
        False,
        "A device's key expires with the token it was let in by, in place of node.expiry.",
    )
    ca_path: Path | None = key(
        optional(kinds.PATH),
        None,
        "Certificates (PEM) by which the provider is trusted instead of the system's authorities.",
    )
