"""A change of policy in the eyes of official clients: peers vanish and come back while they run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.world.net import Net
from tests.world.process import eventually


@pytest.fixture
def opened_again(net: Net, tmp_path: Path) -> Iterator[Path]:
    """A file for policies; whatever the test put in force, everything is allowed afterwards."""
    file = tmp_path / "policy.hujson"
    yield file
    file.write_text("{}")
    net.server.admin("policy", "set", str(file))
    net.ana.sees("ben", online=True)
    net.ana.ping("ben")


def put(net: Net, file: Path, **sections: object) -> str:
    file.write_text(json.dumps(sections))
    net.server.admin("policy", "set", str(file))
    return str(net.server.ask("policy", "get")["version"])


def test_a_policy_closes_and_its_restoration_opens(net: Net, opened_again: Path) -> None:
    everybody = {"action": "accept", "src": ["lab@"], "dst": ["lab@:*"]}
    version = put(net, opened_again, acls=[everybody])
    net.ana.ping("ben")
    put(net, opened_again, acls=[])
    net.ana.misses("ben", within=3)
    net.ben.misses("ana", within=3)
    assert net.server.admin("policy", "explain", "ana", "ben:22", check=False).code == 1
    net.server.admin("policy", "restore", version, "--yes")
    net.ana.sees("ben", online=True)
    net.ana.ping("ben")


def test_a_role_lets_a_user_in_at_once(net: Net, opened_again: Path) -> None:
    put(net, opened_again, acls=[{"action": "accept", "src": ["autogroup:admin"], "dst": ["*:*"]}])
    net.ana.misses("ben", within=3)
    try:
        net.server.admin("users", "set-role", "lab", "admin")
        net.ana.sees("ben", online=True, within=3)
        eventually(lambda: net.ana.ping("ben"), 20, "ana reaches ben")
    finally:
        net.server.admin("users", "set-role", "lab", "member")
