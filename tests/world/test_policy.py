"""A change of policy in the eyes of official clients: peers vanish and come back while they run."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.world.net import Net
from tests.world.process import eventually


@pytest.fixture
def opened_again(net: Net) -> Iterator[None]:
    """Whatever the test put in force, everything is allowed afterwards."""
    yield
    net.put_policy()
    net.ana.sees("ben", online=True)
    net.ana.ping("ben")


def version(net: Net) -> str:
    return str(net.server.ask("policy", "get")["version"])


def test_a_policy_closes_and_its_restoration_opens(net: Net, opened_again: None) -> None:
    everybody = {"action": "accept", "src": ["lab@"], "dst": ["lab@:*"]}
    net.put_policy(acls=[everybody])
    opened = version(net)
    net.ana.ping("ben")
    net.put_policy(acls=[])
    net.ana.misses("ben", within=3)
    net.ben.misses("ana", within=3)
    assert net.server.admin("policy", "explain", "ana", "ben:22", check=False).code == 1
    net.server.admin("policy", "restore", opened, "--yes")
    net.ana.sees("ben", online=True)
    net.ana.ping("ben")


def test_a_role_lets_a_user_in_at_once(net: Net, opened_again: None) -> None:
    net.put_policy(acls=[{"action": "accept", "src": ["autogroup:admin"], "dst": ["*:*"]}])
    net.ana.misses("ben", within=3)
    try:
        net.server.admin("users", "set-role", "lab", "admin")
        net.ana.sees("ben", online=True, within=3)
        eventually(lambda: net.ana.ping("ben"), 20, "ana reaches ben")
    finally:
        net.server.admin("users", "set-role", "lab", "member")
