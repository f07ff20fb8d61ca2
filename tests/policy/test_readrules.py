from __future__ import annotations

from typing import Any

import pytest

from tests.policy.build import acl, document, grant
from tests.policy.refusals import refusal

ASSOCIATED = "is not associated with this Tailnet and cannot be used in user:*@<domain> expressions"
ALL_ADDRESSES = 'to allow all IP addresses, use "*" or "autogroup:internet"'
SELF = "autogroup:self can only be used with users, groups, or supported autogroups"


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (acl("tag:x", "*:*"), 'src=tag not found: "tag:x"'),
        (acl("*", "tag:x:22"), 'dst="tag:x": tag not found: "tag:x"'),
        (acl("autogroup:self", "*:*"), '"autogroup:self" not valid on the src side of a rule'),
        (acl("*", "autogroup:self"), 'dst="autogroup:self": port range "self": invalid first integer'),
        (acl("*", "tag:web:ssh"), 'dst="tag:web:ssh": port range "ssh": invalid first integer'),
        (acl("tag:web", "autogroup:self:*"), SELF),
        (acl("100.64.0.1", "autogroup:self:*"), SELF),
        (acl("*", "autogroup:danger-all:*"), "cannot use autogroup:danger-all as a dst"),
        ({"action": "deny", "src": [], "dst": []}, 'action="deny" is not supported'),
        (acl("*", "nocolon"), 'dst="nocolon": hostport must contain a colon'),
        (acl("user:*@x.org", "*:*"), f"x.org {ASSOCIATED}"),
    ],
)
def test_acls_refused(rule: dict[str, Any], message: str) -> None:
    assert refusal(acls=[rule]) == message


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"src": ["*"], "dst": ["*"]}, "ip and app can not both be empty"),
        ({"src": ["*"], "dst": ["*"], "ip": [], "app": {}}, "ip and app can not both be empty"),
        (grant("*", "autogroup:self"), SELF),
        (grant("*", "0.0.0.0/0"), f'dst "0.0.0.0/0": {ALL_ADDRESSES}'),
        (grant("*", "*", "icmp"), 'port range "icmp": invalid first integer'),
        (grant("*", "*", via=["group:x"]), "via can only be a tag"),
        (grant("*", "*", via=["tag:x"]), 'tag "tag:x" not found'),
        (grant("*", "*", app={"https://x.org/y": []}), "capability name must have the form {domain}/{path}"),
        (
            grant("*", "*", app={"tailscale.com/cap/funnel": []}),
            "capability name must not be in the tailscale.com domain",
        ),
        (
            grant("*", "autogroup:internet", app={"x.org/y": []}),
            "cannot use app grants with autogroup:internet",
        ),
    ],
)
def test_grants_refused(rule: dict[str, Any], message: str) -> None:
    assert refusal(grants=[rule]) == message


@pytest.mark.parametrize("host", ["fd7a::1", "[fd7a::1]", "[fd7a::]/64", "tag:web", "10.0.0.0/8"])
def test_the_port_follows_the_last_colon(host: str) -> None:
    policy = document(acls=[acl("*", f"{host}:22")])
    assert policy.acls is not None and policy.acls[0].dst[0].ports == ((22, 22),)


def test_an_acl_may_say_everybody_to_oneself() -> None:
    assert document(acls=[acl("*", "autogroup:self:*")]).acls


def test_accepted_capabilities() -> None:
    for name in ("tailscale.com/cap/drive", "tailscale.com/cap/webui", "example.com/cap/x", "x.org/y"):
        assert document(grants=[grant("*", "*", app={name: [{}]})]).grants
