"""What providers write, in the ways they write it."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshbox.errors import Malformed, Unproven
from meshbox.wire import openid
from meshbox.wire.openid import Client, Metadata, Question, read_identity, read_metadata, read_tokens

ISSUER = "https://id.example.com/realms/home"
TOLD = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://id.example.com/authorize?tenant=home",
    "token_endpoint": "https://id.example.com/token",
    "jwks_uri": "https://id.example.com/keys",
}
CLIENT = Client("mesh box", "s3cret & more", "https://mesh.example.com/oidc/callback")
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
"""RFC 7636, appendix B."""

QUESTION = Question("the state", "the nonce", VERIFIER)


def told(**more: object) -> bytes:
    return json.dumps({name: value for name, value in {**TOLD, **more}.items() if value is not None}).encode()


def test_a_description_and_its_slash() -> None:
    found = read_metadata(told(), ISSUER)
    assert (found.token_endpoint, found.userinfo_endpoint) == ("https://id.example.com/token", "")
    assert found.token_methods == ("client_secret_basic",)
    assert read_metadata(told(issuer=ISSUER + "/"), ISSUER).issuer == ISSUER + "/"
    assert openid.discovery_url(ISSUER + "/") == f"{ISSUER}/.well-known/openid-configuration"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"issuer": "https://evil.example.com"}, "evil"),
        ({"issuer": None}, "calls itself"),
        ({"token_endpoint": None}, "names no token_endpoint"),
        ({"token_endpoint": 7}, "names no token_endpoint"),
        ({"jwks_uri": "http://id.example.com/keys"}, "not https"),
        ({"userinfo_endpoint": "http://id.example.com/me"}, "not https"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "not https"),
    ],
)
def test_a_description_that_will_not_do(more: dict[str, object], why: str) -> None:
    with pytest.raises(Malformed, match=why):
        read_metadata(told(**more), ISSUER)


def test_the_address_that_a_browser_is_sent_to() -> None:
    metadata = read_metadata(told(), ISSUER)
    more = (("prompt", "login"), ("state", "not this one"))
    url = openid.sign_in_url(metadata, CLIENT, QUESTION, ("openid", "email"), more)
    asked = parse_qs(urlsplit(url).query)
    assert asked == {
        "tenant": ["home"], "prompt": ["login"], "response_type": ["code"], "client_id": ["mesh box"],
        "redirect_uri": [CLIENT.redirect_uri], "scope": ["openid email"], "state": ["the state"],
        "nonce": ["the nonce"], "code_challenge_method": ["S256"],
        "code_challenge": [CHALLENGE],
    }  # fmt: skip


def test_how_we_prove_ourselves() -> None:
    basic = Metadata(*TOLD.values())
    headers, form = openid.redemption(basic, CLIENT, "code", QUESTION)
    assert base64.b64decode(headers["Authorization"].split()[1]) == b"mesh%20box:s3cret%20%26%20more"
    assert form["code_verifier"] == VERIFIER and "client_secret" not in form
    posting = Metadata(*TOLD.values(), token_methods=("client_secret_post",))
    headers, form = openid.redemption(posting, CLIENT, "code", QUESTION)
    assert (headers, form["client_secret"]) == ({}, "s3cret & more")
    public = Client("mesh box", "", CLIENT.redirect_uri)
    headers, form = openid.redemption(basic, public, "code", QUESTION)
    assert (headers, form["client_id"]) == ({}, "mesh box") and "client_secret" not in form


def test_the_answer_to_a_code() -> None:
    assert read_tokens(200, b'{"id_token": "x", "access_token": "y"}').access_token == "y"
    with pytest.raises(Unproven, match="did not take the code: it was used"):
        read_tokens(400, b'{"error": "invalid_grant", "error_description": "it was used"}')
    for body in (b"", b"[]", b"{}", b'{"id_token": 7}', b"<html>"):
        with pytest.raises(Malformed):
            read_tokens(200, body)


def test_a_person() -> None:
    found = read_identity(
        {"sub": "id1", "email": "ana@example.com", "email_verified": "true", "preferred_username": "ana",
         "name": "Ana", "picture": "https://x", "groups": "ops", "exp": 7},
        ISSUER, "groups",
    )  # fmt: skip
    assert (found.email_is_verified, found.groups, found.expires_at) == (True, ("ops",), 7.0)
    assert read_identity({"sub": "id1", "email_verified": "false"}, ISSUER, "groups").groups is None
    assert not read_identity({"sub": "id1", "email_verified": 1}, ISSUER, "groups").email_is_verified


def test_groups_by_name_and_by_path() -> None:
    claims = {
        "sub": "id1",
        "https://example.com/groups": ["a", 7],
        "realm_access": {"roles": ["b"]},
    }
    assert read_identity(claims, ISSUER, "https://example.com/groups").groups == ("a",)
    assert read_identity(claims, ISSUER, "realm_access.roles").groups == ("b",)
    assert read_identity(claims, ISSUER, "realm_access.none").groups is None
    assert read_identity(claims, ISSUER, "sub.none").groups is None
    many = {"sub": "id1", "groups": [f"g{number}" for number in range(1000)]}
    assert len(read_identity(many, ISSUER, "groups").groups or ()) == openid.GROUP_LIMIT


@pytest.mark.parametrize("subject", ["", "x" * 256, "a\nb", "\x1b[2J", 7, None, ["id1"]])
def test_nobody(subject: object) -> None:
    with pytest.raises(Unproven):
        read_identity({"sub": subject}, ISSUER, "groups")


def test_userinfo_about_somebody_else_is_left_out() -> None:
    claims = {"sub": "id1", "email": "ana@example.com"}
    assert openid.with_userinfo(claims, {"sub": "id1", "email": "b@x"})["email"] == "b@x"
    assert openid.with_userinfo(claims, {"sub": "id2", "email": "b@x"}) == claims
    assert openid.with_userinfo(claims, {"email": "b@x"}) == claims


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


NAMES = st.sampled_from(["sub", "email", "email_verified", "groups", "exp", "name"])


@given(st.dictionaries(NAMES, ANYTHING))
def test_whatever_a_token_says_it_is_read_or_refused(claims: dict[str, object]) -> None:
    try:
        found = read_identity(claims, ISSUER, "groups")
    except Unproven:
        return
    assert found.subject.isprintable() and len(found.email) <= openid.TEXT_LIMIT
    assert all(isinstance(group, str) for group in found.groups or ())
